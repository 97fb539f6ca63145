// Tests of IngotFormat.
