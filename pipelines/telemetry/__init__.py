"""What a stream says of itself: one state, which metrics, health, status line and log show."""
