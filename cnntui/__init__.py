"""cnntui: see convolutional neural networks work, in a terminal."""

__version__ = "0.1.0"
