"""The studio: a page to paint on, and the service behind it (``impasto studio``)."""
