"""What `hstflow up` is made of: programs that belong together, started, watched and stopped."""
