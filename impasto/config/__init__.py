"""Every setting, once, in frozen dataclasses; nothing here loads torch."""
