"""Any style in one forward pass: the network, and ``quick``."""
