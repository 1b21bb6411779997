"""When to sync: due times, runs and their states, retries, lost runs."""
