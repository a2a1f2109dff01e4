"""Prefect tasks: a policy around one function of `calib.stages` each."""
