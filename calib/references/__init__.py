"""Reference files: contexts, best references, the cache."""
