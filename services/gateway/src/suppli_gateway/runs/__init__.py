"""Read copies of runs, coverage and due times."""
