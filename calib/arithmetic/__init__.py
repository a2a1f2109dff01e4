"""What a step does to one pixel, written once and compiled."""
