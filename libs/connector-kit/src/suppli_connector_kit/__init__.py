"""What every connector needs; knows no provider."""
