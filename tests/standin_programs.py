"""Small programs that behave like the real ones where that matters: files, exit codes, ends.

They are scripts of the shell: a test can start dozens of them.
"""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

# Ends that programs come to, as bodies of a script.
CRASHES = "kill -SEGV $$"
IS_KILLED = "kill -KILL $$"
HANGS = "sleep 600"
SAYS_OUT_OF_MEMORY = "echo 'ERROR: Out of memory: could not allocate 168 MB'; exit 2"
FAILS = "echo 'ERROR: something is wrong with the input'; exit 2"
MAKES_NOTHING = "echo 'all went well'; exit 0"


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
    """Leave only the system's own programs on PATH: no calibration program is found."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


# What runsinglehap and runmultihap do with their poller file, as far as files go: a drizzled
# image of each exposure, of each filter and of all together; the list of what was made. Names
# are drizzlepac's; pixels are those of the first image.
COMBINES_VISIT = r"""
dataset=${1%_input.out}; : > files; : > astrodrizzle.log
echo "combining $1"
while IFS=, read -r name proposal program visit seconds beam detector rest; do
  [ -f "$name" ] || { echo "Input image $name missing"; exit 1; }
  begin=$(echo "hst_${proposal}_${visit}_${dataset%%_*}_${detector}" | tr 'A-Z' 'a-z')
  beam=$(echo "$beam" | tr 'A-Z;' 'a-z-')
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
