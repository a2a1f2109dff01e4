"""What operations needs: command line, profiles, dashboard, images."""
