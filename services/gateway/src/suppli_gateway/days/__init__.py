"""What is known of business days, as mapping states them."""
