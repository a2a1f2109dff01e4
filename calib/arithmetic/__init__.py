"""What each step does to one pixel: scalar functions, written once.

The steps loop over these functions. Storage and arithmetic are 32-bit floats, as in HSTCAL,
except where a 64-bit operand enters and the result is rounded once.
"""
