"""What a person is doing: one immutable state an activity, and the moves between states. Nothing here draws."""
