"""Small programs that behave like the real ones where that matters: files, exit codes, ends.

They are scripts of the shell: a test can start dozens of them.
"""

from __future__ import annotations

import shlex
import stat
import sys
from pathlib import Path

import pytest

from calib.engines.program import PROGRAMS, find_program

# Ends that programs come to, as bodies of a script.
CRASHES = "kill -SEGV $$"
IS_KILLED = "kill -KILL $$"
HANGS = "sleep 600"
SAYS_OUT_OF_MEMORY = "echo 'ERROR: Out of memory: could not allocate 168 MB'; exit 2"
FAILS = "echo 'ERROR: something is wrong with the input'; exit 2"
MAKES_NOTHING = "echo 'all went well'; exit 0"

_HSTCAL = Path(__file__).with_name("standin_hstcal.py")


def hstcal_body(program: str) -> str:
    """Return the body of a program that behaves as ``calacs``, ``calwf3`` or ``cs0``."""
    command = shlex.join([sys.executable, "-S", str(_HSTCAL), program])
    return f'''for each in "$@"; do printf "%s " "$each"; done >> "$0.calls"
echo >> "$0.calls"
exec {command} "$@"'''


def make_hstcal(folder: Path) -> Path:
    """Write all programs of HSTCAL; what they are started with is kept in ``NAME.e.calls``."""
    for program in ("calacs", "calwf3", "cs0"):
        make_program(folder, f"{program}.e", hstcal_body(program), version="1.2 (01-Jan-2026)")
    return folder


def calls_of(folder: Path, program: str) -> list[str]:
    """Return the arguments of each call of a program of HSTCAL."""
    path = folder / f"{program}.e.calls"
    return [line.strip() for line in path.read_text().splitlines()] if path.exists() else []


def make_program(folder: Path, name: str, body: str, version: str = "1.2.3 (stand-in)") -> Path:
    """Write an executable script that tells its version, and otherwise does `body`.

    Parameters
    ----------
    folder
        Where it lies; to be put on PATH.
    body
        Lines of the shell. ``$@`` are the arguments, the working folder is the program's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{version}" && exit 0\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def put_first_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let programs of a folder be found before all others."""
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def hide_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave only the system's own programs on PATH; skip where those calibrate."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    if found := [program.name for program in PROGRAMS if find_program(program)]:
        pytest.skip(f"{', '.join(found)} in a folder of the system, which cannot be hidden")


# calcos as far as its files and exit codes go. Headers and the names in a table are text, so the
# shell can read them; what is "made" is a copy of the raw file. Like the real one, it ends with 0
# where its input is not there, and with 5 where it finds nothing to calibrate.
_CALCOS = r"""
echo "$@" >> "{calls}"
says() {{ head -c 11520 "$1" | grep -aq "$2"; }}
calibrate() {{
    root=${{1%%_raw*}}
    echo "CALCOS version 3.6.2" >> "$root.tra"
    if [ -f "${{root}}_rawacq.fits" ]; then
        says "${{root}}_rawacq.fits" "= 'ACQ/IMAGE" || return 1
        for made in counts flt; do cp "${{root}}_rawacq.fits" "${{root}}_$made.fits"; done
        return 0
    fi
    for raw in "${{root}}"_rawtag*.fits "${{root}}"_rawaccum*.fits; do
        [ -f "$raw" ] || continue
        segment=${{raw#"${{root}}"_raw}}
        segment=${{segment#tag}}
        segment=${{segment#accum}}
        for made in corrtag counts flt; do cp "$raw" "${{root}}_$made$segment"; done
        if says "$raw" "X1DCORR = 'PERFORM"; then cp "$raw" "${{root}}_x1d.fits"; fi
    done
}}
{before}
[ -f "$1" ] || exit 0
case $1 in
*_asn.fits)
    rows=$(tr '\0' ' ' < "$1" | grep -ao '[A-Z0-9]\{{9\}} \{{5\}}[A-Z]*-[A-Z0-9]* *[TF]')
    for name in $(echo "$rows" | grep 'EXP-.*T$' | cut -c-9 | tr A-Z a-z); do
        calibrate "${{name}}_raw"
        last=$name
    done
    product=$(echo "$rows" | grep 'PROD-' | cut -c-9 | tr A-Z a-z)
    if [ -f "${{last}}_x1d.fits" ]; then
        for part in "" 1 2 3 4; do cp "${{last}}_x1d.fits" "${{product}}_x1dsum$part.fits"; done
    elif [ -n "$product" ]; then
        cp "${{last}}_flt.fits" "${{product}}_fltsum.fits"
    fi ;;
*) calibrate "$1" || exit 5 ;;
esac
{after}
"""


def make_calcos(folder: Path, *, before: str = "", after: str = "") -> Path:
    """Write a program that behaves like calcos; what it was called with is in ``calls.txt``.

    Parameters
    ----------
    before, after
        Lines of the shell that are done before and after the work, such as ``exit 16``.
    """
    body = _CALCOS.format(calls=folder / "calls.txt", before=before, after=after)
    return make_program(folder, "calcos", body, version="3.6.2")


# What runsinglehap and runmultihap do with their poller file, as far as files go: a drizzled
# image of each exposure, of each filter and of all together; the list of what was made. Names
# are drizzlepac's; pixels are those of the first image.
COMBINES_VISIT = r"""
dataset=${1%_input.out}; : > files; : > astrodrizzle.log
echo "combining $1"
while IFS=, read -r name proposal program visit seconds beam detector rest; do
  [ -f "$name" ] || { echo "Input image $name missing"; exit 1; }
  begin=$(echo "hst_${proposal}_${visit}_${dataset%%_*}_${detector}" | tr 'A-Z' 'a-z')
  beam=$(echo "$beam" | tr 'A-Z;' 'a-z-' | sed 's,-n/a,,')
  exposure=$(echo "$name" | cut -c1-8); root=$(echo "$name" | cut -c1-6)
  suffix=${name##*_}; [ "$suffix" = flc.fits ] && made=drc || made=drz
  cp "$name" "${begin}_${beam}_${exposure}_${suffix}"
  for each in "${begin}_${beam}_${exposure}" "${begin}_${beam}_${root}" \
              "${begin}_total_${root}"; do
    [ -f "${each}_$made.fits" ] || cp "$name" "${each}_$made.fits"
    echo "log of $each" > "${each}_trl.txt"
    printf '%s\n' "${each}_$made.fits" "${each}_trl.txt" >> files
  done
  echo "${begin}_${beam}_${exposure}_${suffix}" >> files
  echo "# a catalogue" > "${begin}_total_${root}_point-cat.ecsv"
  echo "${begin}_total_${root}_point-cat.ecsv" >> files
done < "$1"
sort -u files > "${dataset}_manifest.txt"
"""

COMBINES_SKYCELL = r"""
dataset=${1%_input.out}; : > files
while IFS=, read -r name proposal program visit seconds beam detector skycell new path; do
  [ -f "$name" ] || { echo "Input image $name missing"; exit 1; }
  layer=$(echo "hst_${dataset}_acs_${detector}_${beam}_all" | tr 'A-Z;' 'a-z-')
  cp "$name" "${layer}_drc.fits"
  echo "log of $layer" > "${layer}_trl.txt"
  printf '%s\n' "${layer}_drc.fits" "${layer}_trl.txt" >> files
done < "$1"
sort -u files > "${dataset}_manifest.txt"
"""

# Ends of theirs: nothing that could be combined (65; 55: SBC and HRC alone), with the empty
# list that they leave then; headers of products that could not be finished.
FINDS_NOTHING_VIABLE = """: > "${1%_input.out}_manifest.txt"
echo 'No viable images in single/multi-visit table - no processing done.'; exit 65"""
FINDS_ONLY_SMALL = "echo 'Only non-viable or SBC/HRC images in the multi-visit table'; exit 55"
CANNOT_UPDATE = "echo 'Trouble updating drizzle products for CAOM.'; exit 15"


def make_combiners(folder: Path, *, visit: str = "", skycell: str = "") -> Path:
    """Write stand-ins of runsinglehap and runmultihap.

    Parameters
    ----------
    folder
        Where they lie.
    visit, skycell
        Lines of the shell instead of what they do.
    """
    make_program(folder, "runsinglehap", visit or COMBINES_VISIT)
    make_program(folder, "runmultihap", skycell or COMBINES_SKYCELL)
    return folder
