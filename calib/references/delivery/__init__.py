"""From reference files to a context: crds' own tools, each in this process, and their chain."""
