"""FRAMES -> FRAMES: clips painted frame by frame and held steady by optical flow."""
