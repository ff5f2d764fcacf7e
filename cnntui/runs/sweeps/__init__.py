"""A sweep is many runs: a baseline, what is changed in it, and seeds."""
