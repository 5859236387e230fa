"""FILE <-> TENSOR: pictures read, written and named; colours; borders that meet."""
