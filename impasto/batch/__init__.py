"""Many pictures at once, and a clip's shots: what to paint, what is done, who paints it."""
