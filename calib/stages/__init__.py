"""The six stages as plain functions, and the sequence that composes them."""
