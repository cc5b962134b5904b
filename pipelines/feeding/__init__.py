"""What the loader of packed token sets is made of; it needs NumPy and pyarrow, and nothing else."""
