"""Long-running work behind the log."""
