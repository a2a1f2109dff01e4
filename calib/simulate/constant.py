"""Extensions with one value everywhere, stored without pixels."""

from __future__ import annotations

from astropy.io import fits


def constant_image(name: str, value: float, shape: tuple[int, int]) -> fits.ImageHDU:
    """Return an extension with NAXIS = 0, NPIX1, NPIX2 and PIXVALUE, as raw ERR and DQ are.

    BITPIX says which kind of number the pixels would be: 16 for DQ, else -32. astropy keeps
    it only where the extension was read from bytes; else it would write 8.
    """
    integer = name == "DQ"
    ny, nx = shape
    header = fits.Header(
        [
            ("XTENSION", "IMAGE", "image extension"),
            ("BITPIX", 16 if integer else -32, "kind of number"),
            ("NAXIS", 0, "no pixels are stored"),
            ("PCOUNT", 0, "no parameters"),
            ("GCOUNT", 1, "one group"),
            ("EXTNAME", name, "extension name"),
            ("NPIX1", nx, "length of constant array axis 1"),
            ("NPIX2", ny, "length of constant array axis 2"),
            ("PIXVALUE", int(value) if integer else value, "value of all pixels"),
        ]
    )
    return fits.ImageHDU.fromstring(header.tostring().encode("ascii"))
