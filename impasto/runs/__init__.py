"""What every run has: events, checkpoints, a result."""
