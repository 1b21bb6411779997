"""What `make bench` measures: the system next to bare-bones baselines, in one run."""
