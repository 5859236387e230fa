"""The version of impasto, which each picture carries."""

__version__ = "0.1.0"
