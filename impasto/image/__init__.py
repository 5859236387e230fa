"""FILE <-> TENSOR: pictures read, written and named; colour transfer; borders that wrap around."""
