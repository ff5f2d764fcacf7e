"""What a convolutional network is: pure functions and frozen dataclasses, nothing drawn, nothing trained."""
