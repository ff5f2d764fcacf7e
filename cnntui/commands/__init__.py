"""The commands by subject. Each imports what it needs when it runs, so that every one of them starts at once."""
