// The IngotFormat module.
