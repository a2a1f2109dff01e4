"""`hstflow preview`: pictures of FITS images and spectra."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.markup import escape

from calib.errors import DONE, PREVIEWS
from deployments.cli.console import Flag, err, out, print_json

if TYPE_CHECKING:
    from calib.records import Previews


def preview(
    *files: Annotated[Path, Parameter(required=True)],
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path(),
    thumb: int | None = None,
    json: Flag = False,
) -> int:
    """Draw FITS images as JPEG and spectra as PNG: full size, thumbnail, and a description.

    An image ROOT_SUFFIX.fits gives ROOT_SUFFIX.jpg, ROOT_SUFFIX_thumb.jpg and
    ROOT_SUFFIX_preview.json, which says how the values were mapped. Any raw, calibrated or
    drizzled file with an image in its SCI extension will do. An extracted spectrum (x1d, sx1,
    x1dsum) gives ROOT_SUFFIX.png, ROOT_SUFFIX_thumb.png, ROOT_SUFFIX_prev.fits with the curves,
    and the description. Mosaics of a visit or skycell through several filters, given together,
    give a picture in colour as well; its name ends in color.jpg. Exit code 28 if a file could not
    be drawn; the others are drawn.

    Parameters
    ----------
    files
        FITS files.
    output
        Folder of the pictures; existing ones of the same names are replaced.
    thumb
        Longest side of the thumbnail, in pixels; without it 128, and 512 for skycells.
    json
        Write JSON to stdout.
    """
    from calib.preview import draw_files

    previews = draw_files(files, output, thumb=thumb)
    if json:
        import dataclasses

        print_json(dataclasses.asdict(previews))
    else:
        _show(previews)
    return PREVIEWS if previews.warnings else DONE


def _show(previews: Previews) -> None:
    for file in previews.files:
        out.print(file.path, soft_wrap=True)
    for warning in previews.warnings:
        err.print(f"[yellow]warning[/yellow]  {escape(warning)}", soft_wrap=True)
    for remark in previews.remarks:
        err.print(f"note  {escape(remark)}", soft_wrap=True)
