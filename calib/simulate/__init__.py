"""A synthetic observatory: a sky, HRC exposures of it, references and a CRDS context.

Imported by the command line's demo and by tests only.
"""
