"""What the business says: events, decisions and their rules. Pure: no I/O, no clock."""
