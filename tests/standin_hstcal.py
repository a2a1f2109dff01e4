"""Stands in for calacs.e, calwf3.e and cs0.e: files, texts and exit codes as theirs, no numbers.

Started as ``python -S standin_hstcal.py PROGRAM [options] input``. It has no packages: a test
starts it a dozen times. Headers are read and changed as bytes; products are copies of the raws.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

CARD, BLOCK = 80, 2880
FOLDERS = {"calacs": "jref", "calwf3": "iref", "cs0": "oref"}
NAMES = {"calacs": "CALACS", "calwf3": "CALWF3", "cs0": "CALSTIS-0"}
NEEDED = {"BIASCORR": "BIASFILE", "DARKCORR": "DARKFILE", "BLEVCORR": "OSCNTAB"}
STEPS = ("DQICORR", "BIASCORR", "BLEVCORR", "DARKCORR", "FLATCORR", "PHOTCORR")
VERSION = b"standin 1.2"


def main(arguments: list[str]) -> int:
    """Behave like a program of HSTCAL."""
    program = arguments[0]
    options = [each for each in arguments[1:] if each.startswith("-")]
    inputs = [each for each in arguments[1:] if not each.startswith("-")]
    if len(inputs) != 1 or (set(options) - {"-1", "-tv", "-t", "-v"}):
        return fail(f"syntax:  {program}.e [-t] [-s] [-v] input, not {arguments[1:]}")
    say(f"CALBEG*** {NAMES[program]} -- Version 1.2 ***")
    say(f"input {inputs[0]} threads {os.environ['OMP_NUM_THREADS']}")
    source = Path(inputs[0])
    if program == "cs0":
        return stis(source)
    return association(program, source) if source.stem.endswith("_asn") else single(program, source)


def single(program: str, raw: Path) -> int:
    """Calibrate one exposure of ACS or WFC3."""
    cards = read_cards(raw)
    if not any(cards.get(step) == "PERFORM" for step in STEPS):
        say("Warning    No calibration switch was set to PERFORM.")
        say(f"{NAMES[program]} did NOT process {raw}")
        return 0
    root = raw.stem.removesuffix("_raw")
    Path(f"{root}_blv_tmp.fits").write_bytes(raw.read_bytes())
    suffixes = ["flt"]
    suffixes += ["flc"] * (cards.get("PCTECORR") == "PERFORM")
    suffixes += ["ima"] * (cards["DETECTOR"].startswith("IR"))
    code = make(program, raw, cards, [f"{root}_{suffix}.fits" for suffix in suffixes])
    Path(f"{root}_blv_tmp.fits").unlink()
    Path(f"{root}.tra").write_text(f"CALBEG*** {NAMES[program]} -- {root}\n")
    return code


def association(program: str, table: Path) -> int:
    """Calibrate the exposures of a table, combine those of each position, update the table."""
    rows, content = read_rows(table), bytearray(table.read_bytes())
    for name, kind, place in rows:
        if kind.startswith("PROD-DTH"):
            continue
        members = [n for n, k, _ in rows if k == kind.replace("PROD", "EXP")]
        raws = [Path(f"{member}_raw.fits") for member in members]
        if kind.startswith("PROD"):
            suffix = "sfl" if program == "calacs" and kind.startswith("PROD-RP") else "crj"
            if code := make(program, raws[0], read_cards(raws[0]), [f"{name}_{suffix}.fits"]):
                return code
            Path(f"{name}.tra").write_text(f"combined {' '.join(members)}\n")
            content[place] = ord("T")
        elif kind.startswith("EXP") and (code := single(program, Path(f"{name}_raw.fits"))):
            return code
    table.write_bytes(content)
    table.with_name(table.name.replace("_asn.fits", ".tra")).write_text("all\n")
    return 0


def stis(raw: Path) -> int:
    """Calibrate one raw file of STIS."""
    cards = read_cards(raw)
    if not any(cards.get(step) == "PERFORM" for step in STEPS):
        say("Warning  No calibration switch was set to PERFORM.")
        say("ERROR:            No output from current processing step.")
        return 0
    if cards.get("WAVECORR") == "PERFORM" and not Path(cards["WAVECAL"]).exists():
        return fail("ERROR    Open failed: no wavecal")
    rejected = cards.get("CRCORR") == "PERFORM" and int(cards["NEXTEND"]) >= 6
    stem = raw.stem.removesuffix("_raw")
    suffixes = ["crj" if rejected else "flt"]
    suffixes += ["sx1" if rejected else "x1d"] * (cards.get("X1DCORR") == "PERFORM")
    suffixes += ["sx2" if rejected else "x2d"] * (cards.get("X2DCORR") == "PERFORM")
    return make("cs0", raw, cards, [f"{stem}_{suffix}.fits" for suffix in suffixes])


def make(program: str, raw: Path, cards: dict[str, str], products: list[str]) -> int:
    """Write products, if all references are where the header and the environment say."""
    folder = os.environ[FOLDERS[program]]
    if not folder.endswith("/"):
        return fail(f"ERROR:    {FOLDERS[program]} does not end in a slash")
    for switch, keyword in NEEDED.items():
        named = cards.get(keyword, "N/A")
        if cards.get(switch) != "PERFORM" or named == "N/A":
            continue
        if not Path(named.replace(f"{FOLDERS[program]}$", folder)).is_file():
            return fail(f"ERROR:    {keyword} {named} not found\nCalibration file(s) missing.")
    for product in products:
        if Path(product).exists():
            return fail(f"ERROR:    Output file {product} already exists.")
        Path(product).write_bytes(calibrated(raw.read_bytes()))
        say(f"wrote {product}")
    say(f"*** {NAMES[program]} complete ***")
    return 0


def calibrated(content: bytes) -> bytes:
    """Return a file whose primary header says that everything was done, and by whom."""
    end = header_end(content, 0)
    header = content[:end]
    for step in STEPS:
        performed = f"{step:8s}= 'PERFORM '".encode()
        header = header.replace(performed, performed.replace(b"PERFORM ", b"COMPLETE"))
    return (
        re.sub(rb"CAL_VER = .{70}", b"CAL_VER = '" + VERSION.ljust(18) + b"'" + b" " * 50, header)
        + content[end:]
    )


def read_cards(path: Path) -> dict[str, str]:
    """Return the primary header."""
    content = path.read_bytes()
    return cards_of(content[: header_end(content, 0)])


def cards_of(header: bytes) -> dict[str, str]:
    """Return the values of a header as texts."""
    cards = {}
    for start in range(0, len(header), CARD):
        card = header[start : start + CARD].decode("ascii")
        if card[8:10] == "= ":
            quoted = re.match(r"'([^']*)'", card[10:].strip())
            value = quoted[1] if quoted else card[10:].partition("/")[0]
            cards[card[:8].strip()] = value.strip()
    return cards


def header_end(content: bytes, start: int) -> int:
    """Return where the blocks of a header end."""
    end = start
    while not re.search(rb"^(?:.{80})*END {77}", content[start:end], re.DOTALL):
        end += BLOCK
    return end


def read_rows(table: Path) -> list[tuple[str, str, int]]:
    """Return name, type and place of MEMPRSNT of each row of an association table."""
    content = table.read_bytes()
    start = header_end(content, 0)
    data = header_end(content, start)
    cards = cards_of(content[start:data])
    width, name, kind = (
        int(re.sub(r"\D", "", cards[key])) for key in ("NAXIS1", "TFORM1", "TFORM2")
    )
    rows = []
    for at in range(data, data + width * int(cards["NAXIS2"]), width):
        text = content[at : at + name + kind].decode("ascii").replace("\0", " ")
        rows.append((text[:name].strip().lower(), text[name:].strip(), at + name + kind))
    return rows


def say(text: str) -> None:
    """Write a line."""
    sys.stdout.write(f"{text}\n")


def fail(text: str) -> int:
    """Say what is wrong, as the programs do."""
    say(text)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
