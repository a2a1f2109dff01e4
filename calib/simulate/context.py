"""A CRDS cache of our own: rules made with the crds library, and two contexts.

``hst_9001.pmap`` is a first delivery of all references; ``hst_9002.pmap`` adds one dark.
Numbers from 9000 up keep clear of real rules. Relevance rules and match parameters are those
of the real ACS rules in hst_0729.pmap (SATUFILE came later). A type without a file has no rules.
"""

from __future__ import annotations

import pprint
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from calib.errors import ConfigError
from calib.references import library
from calib.references.delivery.newcontext import make_context
from calib.references.delivery.refactoring import insert_into
from calib.references.files import sha1_of
from calib.references.profile import CrdsProfile
from calib.simulate.detector import FULL_FRAME, SMALL_FRAME, Detectors, make_detectors
from calib.simulate.reference_files import write_first_references, write_later_dark
from calib.simulate.reference_writer import Reference
from calib.simulate.sbc_references import write_sbc_references
from calib.simulate.wfc_references import write_wfc_references

CONTEXTS = ("hst_9001.pmap", "hst_9002.pmap")

# Any address with "serverless" in it: the crds library then contacts nothing.
SERVER = "https://hst-serverless.stsci.edu"

_EMPTY = 9000
_DATES = ("DATE-OBS", "TIME-OBS")
_HAS_AMPLIFIERS = '(DETECTOR != "SBC")'
_BIAS_EXTRA = ("XCORNER", "YCORNER", "CCDCHIP")

# For each type: match parameters, format, switch, relevance, and what else its header has.
RULES: dict[str, tuple[tuple[str, ...], str, str, str, dict[str, Any]]] = {
    "biasfile": (
        (
            *("DETECTOR", "CCDAMP", "CCDGAIN", "APERTURE"),
            *("NAXIS1", "NAXIS2", "LTV1", "LTV2"),
            *_BIAS_EXTRA,
        ),
        "IMAGE",
        "BIASCORR",
        '((DETECTOR != "SBC") and (BIASCORR != "OMIT"))',
        {
            "extra_keys": _BIAS_EXTRA,
            "hooks": {
                "precondition_header": "precondition_header_acs_biasfile_v2",
                "fallback_header": "fallback_header_acs_biasfile_v2",
            },
        },
    ),
    "bpixtab": (("DETECTOR",), "TABLE", "DQICORR", '(DQICORR != "OMIT")', {}),
    "ccdtab": (("DETECTOR",), "TABLE", "NONE", '(DETECTOR != "SBC")', {}),
    "crrejtab": (
        ("DETECTOR", "RPTCORR"),
        "TABLE",
        "CRCORR",
        '((DETECTOR != "SBC") and ((CRCORR != "OMIT") or (RPTCORR != "OMIT")))',
        {"extra_keys": ("RPTCORR",)},
    ),
    "darkfile": (
        ("DETECTOR", "CCDAMP", "CCDGAIN"),
        "IMAGE",
        "DARKCORR",
        '(DARKCORR != "OMIT")',
        {"parkey_relevance": dict.fromkeys(("ccdamp", "ccdgain"), _HAS_AMPLIFIERS)},
    ),
    "flshfile": (
        ("DETECTOR", "CCDAMP", "CCDGAIN", "FLASHCUR", "SHUTRPOS"),
        "IMAGE",
        "FLSHCORR",
        '((DETECTOR != "SBC" and FLASHCUR != "OFF") and (FLSHCORR != "OMIT"))',
        {},
    ),
    "imphttab": (("DETECTOR",), "TABLE", "PHOTCORR", '(PHOTCORR != "OMIT")', {}),
    "mlintab": (
        ("DETECTOR",),
        "TABLE",
        "GLINCORR",
        '((DETECTOR == "SBC") and (GLINCORR != "OMIT"))',
        {},
    ),
    "oscntab": (("DETECTOR",), "TABLE", "NONE", '(DETECTOR != "SBC")', {}),
    "pfltfile": (
        (
            *("DETECTOR", "CCDAMP", "FILTER1", "FILTER2", "OBSTYPE"),
            *("FW1OFFST", "FW2OFFST", "FWSOFFST"),
        ),
        "IMAGE",
        "FLATCORR",
        '((OBSTYPE != "INTERNAL") and (FLATCORR != "OMIT"))',
        {
            "parkey_relevance": {"ccdamp": _HAS_AMPLIFIERS}
            | {
                key.lower(): f'({key} == "-1.0" or {key} == "1.0")'
                for key in ("FW1OFFST", "FW2OFFST", "FWSOFFST")
            }
        },
    ),
    "satufile": (
        ("DETECTOR", "CCDAMP"),
        "IMAGE",
        "BIASCORR",
        '((DETECTOR != "SBC") and (BIASCORR != "OMIT"))',
        {},
    ),
    "snkcfile": (
        ("DETECTOR",),
        "IMAGE",
        "SINKCORR",
        '((SINKCORR != "OMIT") and (DETECTOR == "WFC"))',
        {},
    ),
}

# Types that ACS has but that no reference is made for.
NOT_APPLICABLE = (
    *("atodtab", "cfltfile", "d2imfile", "dgeofile", "drkcfile", "idctab", "mdriztab"),
    *("npolfile", "pctetab", "shadfile", "spottab"),
)


def build_context(cache: Path, *, seed: int = 1, small: bool = False) -> tuple[str, str]:
    """Make a CRDS cache that serves HRC exposures of amplifier C at gain 2 from 2002 on.

    Real exposures in F606W, F555W and F330W are served as well, unless `small`.

    Parameters
    ----------
    cache
        Folder to make; it must be new or empty.
    seed
        Equal seeds give the same bytes.
    small
        References for the small chip of :data:`calib.simulate.detector.SMALL_FRAME`.

    Returns
    -------
    tuple of str
        The older and the newer context; the older is operational.

    Raises
    ------
    ConfigError
        There is something in the folder already.
    """
    return build_cache(cache, make_detectors(SMALL_FRAME if small else FULL_FRAME, seed))


def build_cache(cache: Path, detectors: Detectors) -> tuple[str, str]:
    """Make a CRDS cache of some cameras' references, as :func:`build_context` does.

    Parameters
    ----------
    cache
        Folder to make; it must be new or empty.
    detectors
        The chips of each camera; the HRC, whose later dark is in the second context, is one.

    Raises
    ------
    ConfigError
        There is something in the folder already.
    """
    if cache.exists() and any(cache.iterdir()):
        message = "a simulated CRDS cache needs a new folder"
        raise ConfigError(message, path=cache, expected="an empty folder")
    profile = offline_profile(cache)
    for folder in (profile.mappings, profile.references, profile.server_config.parent):
        folder.mkdir(parents=True, exist_ok=True)
    first = _write_references(profile.references, detectors)
    later = write_later_dark(profile.references, detectors["HRC"][0])
    (profile.server_config.parent / "ref_cache_subdir_mode").write_text("flat\n")
    set_operational_context(cache, CONTEXTS[0], [*first, later])
    _make_rules(profile, first, later)
    return CONTEXTS


def offline_profile(cache: Path) -> CrdsProfile:
    """Return the profile of a simulated cache: no server, references in one folder."""
    return CrdsProfile("simulated", SERVER, cache, layout="flat")


def set_operational_context(
    cache: Path, context: str, references: Sequence[Reference] | None = None
) -> None:
    """Write server_config: what a CRDS server would say of itself, with this default context.

    Parameters
    ----------
    references
        Files of the catalogue; None takes every file in the cache.
    """
    profile = offline_profile(cache)
    paths = (
        sorted(profile.references.glob("*.fits"))
        if references is None
        else [reference.path for reference in references]
    )
    info = {
        "observatory": "hst",
        "operational_context": context,
        "latest_context": context,
        "edit_context": CONTEXTS[-1],
        "bad_files_list": [],
        "force_remote_mode": False,
        "last_synced": "2002-04-14 00:00:00",
        "mappings": sorted(path.name for path in profile.mappings.glob("hst_*")),
        "context_history": [],
        "download_metadata": {
            path.name: {"size": str(path.stat().st_size), "sha1sum": sha1_of(path)}
            for path in paths
        },
    }
    part = profile.server_config.with_name("server_config.part")
    part.write_text(pprint.pformat(info) + "\n")
    part.replace(profile.server_config)


def _write_references(folder: Path, detectors: Detectors) -> list[Reference]:
    """Write what the first context names."""
    references = write_first_references(folder, detectors["HRC"][0])
    if "WFC" in detectors:
        references += write_wfc_references(folder, detectors["WFC"])
    if "SBC" in detectors:
        references += write_sbc_references(folder, detectors["SBC"])
    return references


def _make_rules(profile: CrdsProfile, first: Sequence[Reference], later: Reference) -> None:
    library.forget()
    with library.session(profile):
        by_type: dict[str, list[Path]] = defaultdict(list)
        for reference in first:
            by_type[reference.type].append(reference.path)
        _write_empty_rules(profile.mappings, by_type)
        delivered = [
            _insert(profile.mappings, kind, 9000, paths) for kind, paths in by_type.items()
        ]
        make_context(profile.mappings, "hst_9000.pmap", CONTEXTS[0], delivered)
        delivered = [_insert(profile.mappings, later.type, 9001, [later.path])]
        make_context(profile.mappings, *CONTEXTS, delivered)
    library.forget()


def _write_empty_rules(folder: Path, kinds: Collection[str]) -> None:
    """Write rules of these types without files, and an empty context."""
    for kind in sorted(kinds):
        parameters, form, switch, relevance, extra = RULES[kind]
        header = {
            "mapping": "REFERENCE",
            "instrument": "ACS",
            "filekind": kind.upper(),
            "parkey": (parameters, _DATES),
            "reffile_format": form,
            "reffile_required": "YES",
            "reffile_switch": switch,
            "rmap_relevance": relevance,
            **extra,
        }
        write_mapping(folder, f"hst_acs_{kind}_{_EMPTY}.rmap", header, "Match({\n})")
    types = dict.fromkeys((*RULES, *NOT_APPLICABLE), "N/A")
    types |= {kind: f"hst_acs_{kind}_{_EMPTY}.rmap" for kind in kinds}
    header = {"mapping": "INSTRUMENT", "instrument": "ACS", "parkey": ("REFTYPE",)}
    write_mapping(folder, f"hst_acs_{_EMPTY}.imap", header, repr(types))
    header = {"mapping": "PIPELINE", "parkey": ("INSTRUME",)}
    selector = repr({"ACS": f"hst_acs_{_EMPTY}.imap"})
    write_mapping(folder, f"hst_{_EMPTY}.pmap", header, selector)


def write_mapping(folder: Path, name: str, header: dict[str, Any], selector: str) -> None:
    """Write rules by the library, which computes their checksum.

    Parameters
    ----------
    folder
        Where.
    name
        Of the file; its ending says which kind of rules they are: ``.pmap``, ``.imap``, ``.rmap``.
    header, selector
        The two parts of the file; the second as it stands there.
    """
    from crds.core import rmap

    common = {"name": name, "observatory": "HST", "sha1sum": "0" * 40, "derived_from": "scratch"}
    text = f"header = {pprint.pformat(header | common)}\n\nselector = {selector}\n"
    kind = {
        ".pmap": rmap.PipelineContext,
        ".imap": rmap.InstrumentContext,
        ".rmap": rmap.ReferenceMapping,
    }[Path(name).suffix]
    kind.from_string(text, name, ignore_checksum=True).write(str(folder / name))


def _insert(folder: Path, kind: str, number: int, references: Sequence[Path]) -> str:
    """Insert references into rules; return the name of the new rules."""
    old, new = (folder / f"hst_acs_{kind}_{n:04d}.rmap" for n in (number, number + 1))
    insert_into(old, new, references)
    return new.name
