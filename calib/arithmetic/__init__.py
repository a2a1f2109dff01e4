"""What each step does to one pixel: scalar functions, written once.

The public steps and the fused kernels loop over the same functions, so both give the same
bits. Storage and arithmetic are 32-bit floats, as in HSTCAL, except where a 64-bit operand
enters and the result is rounded once.
"""
