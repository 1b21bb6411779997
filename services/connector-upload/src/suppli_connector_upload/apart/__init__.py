"""Reading files in a process of its own: what a file does to its reader, it does to nobody else."""
