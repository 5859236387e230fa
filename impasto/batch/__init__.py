"""Many pictures at once: what to paint, what is done, who paints it."""
