"""Things that are drawn."""
