"""What Square's orders and catalog mean: pure."""
