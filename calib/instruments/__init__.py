"""One recipe per detector: ordered steps and constants with their sources."""
