// The ReFusion module.
