"""Programs that are not ours: what they may use, what they used, and how they are ended."""
