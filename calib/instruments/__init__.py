"""One recipe per detector: its steps in order, the tables they read, constants with sources."""
