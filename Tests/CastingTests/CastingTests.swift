// Tests of Casting.
