"""Preview pictures of products."""
