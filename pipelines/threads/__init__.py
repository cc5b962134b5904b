"""Posts become conversations, and conversations documents."""
