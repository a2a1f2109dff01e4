"""Fused loops over the scalar functions of `calib.arithmetic`, in recipe order."""
