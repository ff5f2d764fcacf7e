"""A training run is a directory: written by the trainer, read by any number of viewers, steered through files."""
