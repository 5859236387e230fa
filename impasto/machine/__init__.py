"""The machine: device, precision, threads, and what a container or other programs leave of it."""
