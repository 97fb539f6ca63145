// Tests of Parity.
