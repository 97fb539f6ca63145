// Tests of ReFusion.
