// The Casting module.
