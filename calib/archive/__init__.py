"""Bytes: layout, manifest, atomic publication, verification."""
