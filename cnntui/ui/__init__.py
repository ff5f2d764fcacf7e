"""The screens. They know labs, runs and core; never torch."""
