"""The database, behind functions that speak of connections, runs and due times."""
