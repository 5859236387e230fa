"""NUMBERS -> BETTER TENSOR: the loop over the pixels, coarse to fine, in tiles."""
