"""Campaigns, the pure part: which datasets, what is left to do."""
