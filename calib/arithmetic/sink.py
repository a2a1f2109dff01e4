"""Sink pixels of one column, one pixel after the other. Source: ACS ISR 2017-01; calacs sinkDetect.

The reference holds a depth below -1 at a sink pixel, -1 just before it, and positive limits
in the pixels of its trail.
"""

from __future__ import annotations

import numpy as np

from calib.compiled import compiled


@compiled("b1", "f4", "f4", "b1")
def is_affected(reference: float, sink: float, trailing: bool) -> bool:
    """Whether a sink takes charge from this pixel.

    Parameters
    ----------
    reference
        Of this pixel.
    sink
        Signal of the sink pixel passed last [electrons].
    trailing
        Whether all pixels since the sink were affected.

    Notes
    -----
    In the trail a pixel is affected while its limit is above the signal of the sink: the
    emptier the sink, the longer its trail. A limit of 0 ends it, also where noise has left the
    sink with a negative signal.
    """
    in_trail = trailing & bool(reference > np.float32(0.0)) & bool(reference > sink)
    return bool(reference < np.float32(0.0)) | in_trail


@compiled("f4", "f4", "f4", "f4")
def sink_signal(reference: float, sink: float, signal: float) -> float:
    """Return the signal of the sink pixel passed last: this one if its depth is below -1."""
    return signal if reference < np.float32(-1.0) else sink
