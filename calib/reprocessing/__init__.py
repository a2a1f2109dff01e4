"""Reprocessing: what a new context marks, from the plan to the final report."""
