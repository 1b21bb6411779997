"""What Clover's orders and items mean; pure."""
