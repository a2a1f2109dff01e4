"""The calibration steps as plain array functions: one physical effect per module.

A step takes images (and numbers) and returns new ones; it never writes to what it was given,
so read-only arrays will do. Pixels: SCI and ERR float32, DQ int16, shape (ny, nx). Flagged
pixels are computed like the others, unless a step says that it leaves them out; NaN stays NaN.
"""
