"""Synthetic exposures, references and a CRDS context."""
