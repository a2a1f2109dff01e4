"""`python -m deployments.cli` is `hstflow`."""

from deployments.cli.main import main

main()
