"""For tests alone: what stands between a process and the servers, so that a test can stop it anywhere."""
