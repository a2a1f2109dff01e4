"""A small COS: raw files and references of a made-up sky, in the formats that calcos reads.

The references are as simple as can be, so that every number can be worked out: a flat of one
number, a dead time of one number, a dispersion in two coefficients, a sensitivity of one number.
Formats: COS Data Handbook, chapters 2 and 3, and what calcos 3.6.2 reads.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from calib.caldp import suffix_of
from calib.engines.protocol import CalibrationRequest
from calib.records import (
    ExposureReferences,
    InputFile,
    Member,
    RawInputs,
    References,
    ReferenceUse,
)
from calib.references import library
from calib.references.profile import CrdsProfile
from calib.simulate.context import offline_profile, set_operational_context, write_mapping
from calib.switches import parse_overrides

CONTEXT = "hst_9001.pmap"

EXPTIME = 100.0
FLAT, LIVETIME, SENSITIVITY = 4.0, 0.5, 1e12
# Wavelength of the first pixel and step, Angstrom, by segment or stripe.
DISPERSION = {
    "NUVA": (2700.0, 0.4), "NUVB": (1700.0, 0.4), "NUVC": (3300.0, 0.4),
    "FUVA": (1290.0, 0.01), "FUVB": (1130.0, 0.01),
}  # fmt: skip
# Row in which the spectrum of a segment or stripe lies.
ROW = {"NUVA": 187, "NUVB": 287, "NUVC": 427, "FUVA": 487, "FUVB": 547}
LAMP_ROWS = 400  # between the spectrum of a target and that of the lamp
NUV_SHAPE, FUV_SHAPE = (1024, 1024), (1024, 16384)
STAR = (300, 400)  # x and y of the star in images

_VERSION = {"VCALCOS": "3.6", "PEDIGREE": "GROUND", "DESCRIP": "made up", "INSTRUME": "COS"}
_SWITCHES = (
    "FLATCORR", "DEADCORR", "DQICORR", "STATFLAG", "TEMPCORR", "PHACORR", "RANDCORR", "GEOCORR",
    "IGEOCORR", "DGEOCORR", "XWLKCORR", "YWLKCORR", "TRCECORR", "ALGNCORR", "DOPPCORR", "HELCORR",
    "X1DCORR", "BACKCORR", "WAVECORR", "FLUXCORR", "BRSTCORR", "BADTCORR", "TDSCORR", "HVDSCORR",
    "PHOTCORR",
)  # fmt: skip
REFERENCES = (
    "FLATFILE", "DEADTAB", "BPIXTAB", "BRFTAB", "PHATAB", "XTRACTAB", "DISPTAB", "FLUXTAB",
)  # fmt: skip
# Switch whose file each is; the others are for more than one.
SWITCH_OF = {
    "FLATFILE": "FLATCORR",
    "DEADTAB": "DEADCORR",
    "BPIXTAB": "DQICORR",
    "PHATAB": "PHACORR",
    "FLUXTAB": "FLUXCORR",
}
PRIMARY: Mapping[str, Any] = {
    "TELESCOP": "HST",
    "INSTRUME": "COS",
    "DETECTOR": "NUV",
    "SEGMENT": "N/A",
    "OBSMODE": "TIME-TAG",
    "OBSTYPE": "IMAGING",
    "EXPTYPE": "EXTERNAL/SCI",
    "TARGNAME": "MADE-UP-STAR",
    "APERTURE": "PSA",
    "OPT_ELEM": "MIRRORA",
    "CENWAVE": 0,
    "FPPOS": 3,
    "FPOFFSET": 0,
    "LIFE_ADJ": 1,
    "APERYPOS": 126.0,
    "COSCOORD": "USER",
    "SUBARRAY": False,
    "TAGFLASH": "NONE",
    "LAMPUSED": "NONE",
    "LAMPPLAN": "NONE",
    "RANDSEED": -1,
    "RA_TARG": 10.0,
    "DEC_TARG": 20.0,
    "XTRCTALG": "BOXCAR",
    "DATE-OBS": "2012-03-04",
    "TIME-OBS": "05:06:07",
    "CAL_VER": "",
    **dict.fromkeys(_SWITCHES, "OMIT"),
    "STATFLAG": False,
    **dict.fromkeys(("FLATCORR", "DEADCORR", "DQICORR"), "PERFORM"),
    **dict.fromkeys(("HVTAB", "GSAGTAB", "SPOTTAB", "PHAFILE", "SPWCSTAB", "BADTTAB"), "N/A"),
}
SPECTRUM: Mapping[str, Any] = {
    "OBSTYPE": "SPECTROSCOPIC",
    "OPT_ELEM": "G230L",
    "CENWAVE": 2950,
    "X1DCORR": "PERFORM",
    "BACKCORR": "PERFORM",
    "FLUXCORR": "PERFORM",
}
FUV: Mapping[str, Any] = {
    **SPECTRUM,
    "DETECTOR": "FUV",
    "OPT_ELEM": "G130M",
    "CENWAVE": 1309,
    "RANDCORR": "PERFORM",
    "PHACORR": "PERFORM",
    **dict.fromkeys(("DEADCORR", "FLATCORR"), "OMIT"),
}
_EXTENSION = {
    "EXPSTART": 55990.2,
    "EXPEND": 55990.2 + EXPTIME / 86400,
    "EXPTIME": EXPTIME,
    "PLANTIME": EXPTIME,
    **{f"SHIFT{axis}{stripe}": 0.0 for axis in "12" for stripe in "ABC"},
    "DISPAXIS": 0,
    "SDQFLAGS": 184,
    "NSUBARRY": 0,
    "NUMFLASH": 0,
    "DOPPON": False,
    "DOPPONT": False,
    "DOPPMAGV": 0.0,
    "DOPMAGT": 0.0,
    "RA_APER": 10.0,
    "DEC_APER": 20.0,
    "PA_APER": 0.0,
}


def write_events(path: Path, x: Sequence[float], y: Sequence[float], **header: Any) -> Path:
    """Write a rawtag file: one event for each x and y, spread evenly over the exposure."""
    primary = _primary(path, header)
    number = len(x)
    columns = [
        fits.Column("TIME", "1E", array=np.linspace(0, EXPTIME, number, dtype=np.float32)),
        fits.Column("RAWX", "1I", array=np.asarray(x, np.int16)),
        fits.Column("RAWY", "1I", array=np.asarray(y, np.int16)),
    ]
    if primary["DETECTOR"] == "FUV":
        columns.append(fits.Column("PHA", "1B", array=np.full(number, 12, np.uint8)))
    events = fits.BinTableHDU.from_columns(columns, _extension(primary), name="EVENTS")
    good = [fits.Column("START", "1D", array=[0.0]), fits.Column("STOP", "1D", array=[EXPTIME])]
    times = fits.BinTableHDU.from_columns(good, name="GTI")
    fits.HDUList([fits.PrimaryHDU(header=primary), events, times]).writeto(path, overwrite=True)
    return path


def write_image(path: Path, counts: np.ndarray | None = None, **header: Any) -> Path:
    """Write a rawaccum or rawacq file with an image of counts; by default the star."""
    primary = _primary(path, {"OBSMODE": "ACCUM", **header})
    sci = star_image() if counts is None else counts
    extension = _extension(primary)
    hdus: list[Any] = [fits.PrimaryHDU(header=primary)]
    imsets = 2 if primary["EXPTYPE"] == "ACQ/IMAGE" else 1  # before and after the slew
    for version in range(1, imsets + 1):
        hdus += [
            fits.ImageHDU(sci.astype(np.int16), extension, name="SCI", ver=version),
            fits.ImageHDU(np.sqrt(sci).astype(np.float32), extension, name="ERR", ver=version),
            fits.ImageHDU(np.zeros_like(sci, np.int16), extension, name="DQ", ver=version),
        ]
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def write_acquisition(path: Path, kind: str) -> Path:
    """Write the rawacq file of an acquisition that is no image: a table of positions."""
    primary = _primary(path, {"OBSMODE": "ACCUM", "EXPTYPE": kind})
    columns = [fits.Column("DWELL_POINT", "1I", array=[1, 2]), fits.Column("COUNTS", "1J")]
    table = fits.BinTableHDU.from_columns(columns, _extension(primary), name="EVENTS")
    fits.HDUList([fits.PrimaryHDU(header=primary), table]).writeto(path, overwrite=True)
    return path


def write_table(path: Path, members: Sequence[Member]) -> Path:
    """Write the table of an association."""
    columns = [
        fits.Column("MEMNAME", "14A", array=[m.name.upper() for m in members]),
        fits.Column("MEMTYPE", "14A", array=[m.type for m in members]),
        fits.Column("MEMPRSNT", "1L", array=[m.present for m in members]),
    ]
    root = path.name.partition("_")[0]
    cards = {"INSTRUME": "COS", "ROOTNAME": root, "ASN_ID": root.upper(), "ASN_PROD": False}
    primary = fits.PrimaryHDU(header=fits.Header(cards))
    table = fits.BinTableHDU.from_columns(columns, name="ASN")
    fits.HDUList([primary, table]).writeto(path, overwrite=True)
    return path


def star_image(counts: int = 40) -> np.ndarray:
    """Return an image of the NUV detector with one star of `counts` counts in one pixel."""
    image = np.zeros(NUV_SHAPE)
    image[STAR[1], STAR[0]] = counts
    return image


def spectrum_events(segments: Iterable[str], each: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of a flat spectrum: `each` events in every pixel of every segment."""
    width = {"N": NUV_SHAPE[1], "F": FUV_SHAPE[1]}
    x = [np.tile(np.arange(width[segment[0]]), each) for segment in segments]
    y = [np.full(len(part), ROW[name]) for part, name in zip(x, segments, strict=True)]
    return np.concatenate(x), np.concatenate(y)


def make_references(folder: Path) -> dict[str, Path]:
    """Write the references; return them by keyword."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {key: folder / f"made_{key.lower()}.fits" for key in REFERENCES}
    apertures = ["PSA"] * len(ROW) + ["WCA"] * len(ROW)
    segments = [*ROW, *ROW]
    centres = [ROW[n] + LAMP_ROWS * (a == "WCA") for n, a in zip(segments, apertures, strict=True)]
    which = {
        "SEGMENT": ("4A", segments),
        "OPT_ELEM": ("8A", ["G230L" if name[0] == "N" else "G130M" for name in segments]),
        "CENWAVE": ("1J", [2950 if name[0] == "N" else 1309 for name in segments]),
        "APERTURE": ("4A", apertures),
    }
    _write_flat(paths["FLATFILE"])
    write_reference(paths["DEADTAB"], "DEADTIME REFERENCE TABLE", {
        "SEGMENT": ("4A", ["NUV"] * 2 + ["FUVA"] * 2 + ["FUVB"] * 2),
        "OBS_RATE": ("1D", [0.0, 1e6] * 3),
        "LIVETIME": ("1D", [LIVETIME] * 6),
    }, TIMESTEP=10.0)  # fmt: skip
    write_reference(paths["BPIXTAB"], "DATA QUALITY INITIALIZATION TABLE", {
        "SEGMENT": ("4A", ["NUV", "FUVA", "FUVB"]),
        "LX": ("1J", [10, 10, 10]), "LY": ("1J", [20, 20, 20]),
        "DX": ("1J", [3, 3, 3]), "DY": ("1J", [2, 2, 2]), "DQ": ("1J", [16, 16, 16]),
    })  # fmt: skip
    write_reference(paths["BRFTAB"], "BASELINE REFERENCE FRAME TABLE", {
        "SEGMENT": ("4A", ["FUVA", "FUVB"]),
        "A_LOW": ("1D", [300.0] * 2), "A_HIGH": ("1D", [800.0] * 2),
        "A_LEFT": ("1D", [1000.0] * 2), "A_RIGHT": ("1D", [15000.0] * 2),
    })  # fmt: skip
    write_reference(paths["PHATAB"], "PULSE HEIGHT PARAMETERS REFERENCE TABLE", {
        "SEGMENT": ("4A", ["FUVA", "FUVB"]), "OPT_ELEM": ("8A", ["G130M"] * 2),
        "LLT": ("1J", [2, 2]), "ULT": ("1J", [23, 23]),
        "MIN_PEAK": ("1D", [1.0] * 2), "MAX_PEAK": ("1D", [1.0] * 2),
    })  # fmt: skip
    write_reference(paths["XTRACTAB"], "1-D EXTRACTION PARAMETERS TABLE", {
        **which,
        "SLOPE": ("1D", [0.0] * 10), "B_SPEC": ("1D", centres),
        "HEIGHT": ("1J", [21] * 10), "BHEIGHT": ("1J", [11] * 10), "BWIDTH": ("1J", [11] * 10),
        "B_BKG1": ("1D", [row - 40 for row in centres]),
        "B_BKG2": ("1D", [row + 40 for row in centres]),
    })  # fmt: skip
    write_reference(paths["DISPTAB"], "DISPERSION RELATION REFERENCE TABLE", {
        **which,
        "FPOFFSET": ("1J", [0] * 10), "NELEM": ("1J", [2] * 10),
        "COEFF": ("4D", [(*DISPERSION[name], 0.0, 0.0) for name in segments]),
    })  # fmt: skip
    write_reference(paths["FLUXTAB"], "PHOTOMETRIC SENSITIVITY REFERENCE TABLE", {
        **which,
        "WAVELENGTH": ("2D", [(900.0, 4000.0)] * 10),
        "SENSITIVITY": ("2E", [(SENSITIVITY, SENSITIVITY)] * 10),
    })  # fmt: skip
    return paths


def make_request(
    raws: Sequence[Path],
    references: Mapping[str, Path],
    output: Path,
    settings: Iterable[str] = (),
    others: Sequence[Path] = (),
    members: tuple[Member, ...] = (),
) -> CalibrationRequest:
    """Return what the engine is asked for; the dataset is the table, or the first raw."""
    uses = tuple(
        ReferenceUse(keyword, path.name, str(path)) for keyword, path in references.items()
    )
    tables = [path for path in others if path.name.endswith("_asn.fits")]
    dataset = (tables or [*raws])[0].name.partition("_")[0]
    files = tuple(_input(path) for path in (*raws, *others))
    chosen = tuple(ExposureReferences(path.name, uses) for path in raws)
    return CalibrationRequest(
        dataset=dataset,
        inputs=RawInputs(dataset, "file", files, members),
        references=References("hst_9001.pmap", "14", chosen),
        output=output,
        overrides=parse_overrides(settings),
    )


def _input(path: Path) -> InputFile:
    content = path.read_bytes()
    root = path.name.partition("_")[0]
    digest = hashlib.sha256(content).hexdigest()
    return InputFile(path.name, str(path), digest, len(content), suffix_of(path.name), root)


def _primary(path: Path, header: Mapping[str, Any]) -> fits.Header:
    suffix = suffix_of(path.name)
    segment = {"_a": "FUVA", "_b": "FUVB"}.get(suffix[-2:], PRIMARY["SEGMENT"])
    if suffix[-2:] in {"_a", "_b"}:
        header = {**FUV, "SEGMENT": segment, **header}
    root = path.name.partition("_")[0]
    named = {key: f"lref$made_{key.lower()}.fits" for key in REFERENCES}
    values = {**PRIMARY, **named, "ROOTNAME": root, "FILENAME": path.name, **header}
    return fits.Header({key: value for key, value in values.items() if value is not None})


def _extension(primary: fits.Header) -> fits.Header:
    segment = str(primary["SEGMENT"])[-1] if primary["DETECTOR"] == "FUV" else ""
    spectrum = primary["OBSTYPE"] == "SPECTROSCOPIC"
    values = {**_EXTENSION, "ROOTNAME": primary["ROOTNAME"], "DISPAXIS": 1 if spectrum else 0}
    if segment:
        values |= {f"EXPTIME{segment}": EXPTIME, f"HVLEVEL{segment}": 167}
        # Eight subarrays of no size: the whole detector was read.
        cards = [
            f"{what}{n}{axis}" for what in ("CORNER", "SIZE") for n in range(8) for axis in "XY"
        ]
        values |= dict.fromkeys(cards, 0)
    flashes = 0 if primary["TAGFLASH"] == "NONE" else 1
    return fits.Header({**values, "NUMFLASH": flashes})


def write_reference(
    path: Path, kind: str, columns: Mapping[str, tuple[str, Any]], **cards: Any
) -> None:
    """Write a table as a reference file; cards are those of the extension."""
    primary = fits.PrimaryHDU(header=fits.Header({**_VERSION, "FILETYPE": kind}))
    made = [fits.Column(name, form, array=array) for name, (form, array) in columns.items()]
    table = fits.BinTableHDU.from_columns(made, fits.Header(cards))
    fits.HDUList([primary, table]).writeto(path, overwrite=True)


def _write_flat(path: Path) -> None:
    """Write a flat of one number for the NUV, and for both segments of the FUV."""
    kind = {**_VERSION, "FILETYPE": "FLAT FIELD REFERENCE IMAGE"}
    nuv = fits.ImageHDU(np.full(NUV_SHAPE, FLAT, np.float32), name="NUV")
    fits.HDUList([fits.PrimaryHDU(header=fits.Header(kind)), nuv]).writeto(path, overwrite=True)


def make_cache(cache: Path, references: Mapping[str, Path]) -> CrdsProfile:
    """Make a CRDS cache whose rules give each detector these references from 2009 on.

    Each type is matched by detector, and is N/A where its switch is OMIT, as in the real rules.
    """
    profile = offline_profile(cache)
    for folder in (profile.mappings, profile.references, profile.server_config.parent):
        folder.mkdir(parents=True)
    (profile.server_config.parent / "ref_cache_subdir_mode").write_text("flat\n")
    for path in references.values():
        shutil.copyfile(path, profile.references / path.name)
    library.forget()
    with library.session(profile):
        _write_rules(profile.mappings, references)
    set_operational_context(cache, CONTEXT)
    library.forget()
    return profile


def _write_rules(folder: Path, references: Mapping[str, Path]) -> None:
    kinds = {key: f"hst_cos_{key.lower()}_9001.rmap" for key in references}
    for key, name in kinds.items():
        use = {"2009-01-01 00:00:00": references[key].name}
        cases = ", ".join(f"('{detector}',): UseAfter({use})" for detector in ("NUV", "FUV"))
        switch = SWITCH_OF.get(key)
        header = {
            "mapping": "REFERENCE",
            "instrument": "COS",
            "filekind": key,
            "parkey": (("DETECTOR",), ("DATE-OBS", "TIME-OBS")),
            "reffile_format": "IMAGE" if key.endswith("FILE") else "TABLE",
            "reffile_required": "YES",
            "reffile_switch": switch or "NONE",
            "rmap_relevance": f'({switch} != "OMIT")' if switch else "ALWAYS",
        }
        write_mapping(folder, name, header, f"Match({{{cases}}})")
    header = {"mapping": "INSTRUMENT", "instrument": "COS", "parkey": ("REFTYPE",)}
    types = {key.lower(): name for key, name in kinds.items()}
    write_mapping(folder, "hst_cos_9001.imap", header, repr(types))
    header = {"mapping": "PIPELINE", "parkey": ("INSTRUME",)}
    write_mapping(folder, CONTEXT, header, repr({"COS": "hst_cos_9001.imap"}))
