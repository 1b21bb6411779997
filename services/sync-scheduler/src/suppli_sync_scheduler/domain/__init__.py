"""The rules of due times and runs: pure, with time, ids and chance as arguments."""
