"""Telling Prefect's server of the deployments in prefect.yaml, which the wheel carries."""
