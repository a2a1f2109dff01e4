"""Cut the crops that are kept here out of the golden products: make_crops.py PRODUCTS.

PRODUCTS has one folder per case with the products of calacs 10.5.0 (16-Mar-2026, HSTCAL), one
thread, x86-64, on the inputs that `calib.simulate.golden` writes. For each image extension 64 x
64 pixels are kept where there are most kinds of flags, and the sha256 of all its pixels.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

FOLDER = Path(__file__).parent
PROGRAM = "calacs 10.5.0 (16-Mar-2026)"
CASES = (
    *("acs_hrc_asn", "acs_wfc_tiny", "acs_wfc_tiny_presm4"),
    *("acs_wfc_tiny_sub", "acs_wfc_tiny_asn", "acs_sbc"),
)
SIDE = 64

# Cards that depend on when, where and by what a product was made.
PASSING = {
    *("DATE", "ORIGIN", "CAL_VER", "FILENAME", "IRAF-TLM", "COMMENT", "HISTORY", ""),
    *("CHECKSUM", "DATASUM", "OPUS_VER", "PROCTIME"),
}


def cards(hdu: Any) -> dict[str, Any]:
    """Return the cards of an HDU that every engine writes alike; reference paths are left out."""
    return {
        key: value
        for key, value in hdu.header.items()
        if key not in PASSING and isinstance(value, str | int | float) and "$" not in str(value)
    }


def digest(pixels: Any) -> str:
    """Return the sha256 of pixels in big-endian order."""
    big = np.ascontiguousarray(pixels).astype(pixels.dtype.newbyteorder(">"))
    return hashlib.sha256(big.tobytes()).hexdigest()


def find_corner(flags: Any) -> tuple[int, int]:
    """Return the lower left corner of the window with the most kinds of flags."""
    ny, nx = flags.shape
    corners = [
        (y, x)
        for y in range(0, max(1, ny - SIDE + 1), SIDE // 2)
        for x in range(0, max(1, nx - SIDE + 1), SIDE // 2)
    ]

    def kinds(corner: tuple[int, int]) -> int:
        y, x = corner
        return len(np.unique(flags[y : y + SIDE, x : x + SIDE]))

    return max(corners, key=kinds)


def crop_product(path: Path, target: Path) -> dict[str, Any]:
    """Write the crops of a product and return what else is kept of it."""
    crops, extensions = {}, {}
    with fits.open(path) as hdus:
        for hdu in hdus[1:]:
            name = f"{hdu.name},{hdu.ver}"
            y, x = find_corner(hdus["DQ", hdu.ver].data)
            crops[name] = hdu.data[y : y + SIDE, x : x + SIDE]
            crops[name] = crops[name].astype(crops[name].dtype.newbyteorder("="))
            extensions[name] = {
                "corner": [y, x],
                "shape": list(hdu.data.shape),
                "sha256": digest(hdu.data),
            }
        np.savez_compressed(target, **crops)
        return {
            "cards": {f"{hdu.name},{hdu.ver}": cards(hdu) for hdu in hdus},
            "extensions": extensions,
        }


def main(products: Path) -> None:
    """Crop every calibrated product of every case."""
    kept: dict[str, Any] = {"program": PROGRAM, "products": {}}
    for case in CASES:
        for path in sorted((products / case).glob("*_*.fits.gz")):
            name = path.name.removesuffix(".fits.gz")
            if name.endswith(("_asn", "_tmp")):
                continue
            made = crop_product(path, FOLDER / f"{name}.npz")
            kept["products"][name] = {"case": case, **made}
    (FOLDER / "crops.json").write_text(json.dumps(kept, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
