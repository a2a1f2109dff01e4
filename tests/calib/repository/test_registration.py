"""From a manifest to the rows of the registry."""

from __future__ import annotations

from dataclasses import asdict

from calib.archive.manifest import FileEntry, Manifest
from calib.records import DataId, Member
from calib.repository.registration import registration_of

SHOWN = DataId("j8bt05njq", "acs", "8bt", "05", "HRC", "F606W")
MEMBER = Member("J8BT05NJQ", "EXP-CRJ", present=True)
FILES = (
    FileEntry("j8bt05010_crj.fits", "product", "a" * 64, 10),
    FileEntry("j8bt05njq_flt.fits", "product", "b" * 64, 20),
    FileEntry("previews/j8bt05njq_flt.jpg", "preview", "c" * 64, 30),
    FileEntry("logs/process.txt", "log", "d" * 64, 40),
    FileEntry("env/pip.txt", "env", "e" * 64, 50),
)


def manifest(**provenance: object) -> Manifest:
    """Return the manifest of an association."""
    return Manifest(
        dataset="j8bt05010",
        kind="ipst",
        instrument="acs",
        run="r1",
        fingerprint="f" * 64,
        created="2026-01-01T00:00:00+00:00",
        files=FILES,
        provenance=provenance,
    )


def test_files_have_type_and_rootname() -> None:
    """The type is the suffix or the role; the rootname is the exposure that a file shows."""
    found = registration_of(manifest(), "file:///o/r1", "0" * 64).published
    assert [(each.name, each.type, each.rootname) for each in found.files] == [
        ("j8bt05010_crj.fits", "crj", "j8bt05010"),
        ("j8bt05njq_flt.fits", "flt", "j8bt05njq"),
        ("previews/j8bt05njq_flt.jpg", "preview", "j8bt05njq"),
        ("logs/process.txt", "log", "j8bt05010"),
        ("env/pip.txt", "env", "j8bt05010"),
    ]
    assert [(each.sha256, each.size) for each in found.files] == [
        (each.sha256, each.size) for each in FILES
    ]
    assert (found.run, found.dataset, found.uri) == ("r1", "j8bt05010", "file:///o/r1")
    assert (found.fingerprint, found.manifest_sha256) == ("f" * 64, "0" * 64)
    assert found.published_at == "2026-01-01T00:00:00+00:00"


def test_data_ids_and_members_come_from_the_provenance() -> None:
    """Records are read back; fields that a newer version adds are passed over."""
    newer = {**asdict(SHOWN), "moon_angle": 12.0}
    found = registration_of(manifest(data_ids=[newer], members=[asdict(MEMBER)]), "u", "0" * 64)
    assert (found.data_ids, found.members) == ((SHOWN,), (MEMBER,))


def test_older_manifest_has_neither() -> None:
    """A manifest without data ids and members registers its files."""
    found = registration_of(manifest(), "u", "0" * 64)
    assert (found.data_ids, found.members) == ((), ())
    assert len(found.published.files) == len(FILES)
