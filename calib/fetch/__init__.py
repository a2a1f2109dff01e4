"""Raw inputs: found, unpacked, verified."""
