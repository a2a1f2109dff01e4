"""Rows: what happened to every dataset, and what exists."""
