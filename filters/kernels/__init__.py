"""Compiled loops over Arrow buffers. `cpu.py` and `gpu.py` offer the same functions with the same results."""
