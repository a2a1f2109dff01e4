"""The console script `hstflow`: one lazily imported module per command group."""
