"""Moving pictures: frames in and out of files."""
