"""What sales mean, computed without any input or output."""
