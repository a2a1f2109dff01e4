"""Engines: the same protocol, different means to calibrate a dataset."""
