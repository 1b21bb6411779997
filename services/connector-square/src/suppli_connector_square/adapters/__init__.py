"""How Square is asked."""
