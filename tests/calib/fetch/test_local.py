"""From a folder or an archive to the verified inputs of a dataset."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from astropy.io import fits

from calib.errors import (
    ConfigError,
    CorruptFile,
    HstflowError,
    MissingMember,
    NotFound,
    Unavailable,
)
from calib.fetch import TarLimits, fetch_inputs, read_association
from calib.ids import parse_dataset
from calib.records import Member, RawInputs

WriteRaw = Callable[..., Path]
WriteTable = Callable[..., Path]
Fetch = Callable[..., RawInputs]


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    """Return a function that fetches into a fresh folder, `out`."""

    def call(dataset: str, source: Path | str, limits: TarLimits | None = None) -> RawInputs:
        uri = source if isinstance(source, str) else f"file:{source}"
        return fetch_inputs(parse_dataset(dataset), uri, tmp_path / "out", limits=limits)

    return call


def pack(folder: Path, archive: Path, prefix: str = "") -> Path:
    """Pack all files of a folder."""
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, prefix + path.name)
    return archive


def names(inputs: RawInputs) -> list[str]:
    """Return the names of the files fetched."""
    return [file.name for file in inputs.files]


def test_exposure_comes_alone(fetch: Fetch, association: Path, tmp_path: Path) -> None:
    """Its ASN_ID names an association that is absent: that does not matter."""
    inputs = fetch("jh0001aaq", association)

    assert names(inputs) == ["jh0001aaq_raw.fits"]
    assert (inputs.dataset, inputs.members) == ("jh0001aaq", ())
    assert inputs.source == f"file:{association}"
    (file,) = inputs.files
    original = association / file.name
    assert file.path == str(tmp_path / "out" / file.name)
    assert Path(file.path).read_bytes() == original.read_bytes()
    assert file.sha256 == hashlib.sha256(original.read_bytes()).hexdigest()
    assert (file.size, file.suffix, file.rootname) == (original.stat().st_size, "raw", "jh0001aaq")


def test_association_comes_with_required_members_and_all_rows(
    fetch: Fetch, association: Path
) -> None:
    """Not the neighbour of the same visit, not the product, not the absent exposure."""
    inputs = fetch("jh0001010", association)

    assert names(inputs) == ["jh0001010_asn.fits", "jh0001aaq_raw.fits", "jh0001abq_raw.fits"]
    assert inputs.members == (
        Member("jh0001aaq", "EXP-CRJ", present=True),
        Member("jh0001abq", "EXP-CRJ", present=True),
        Member("jh0001azq", "EXP-CRJ", present=False),
        Member("jh0001011", "PROD-CRJ", present=True),
    )


def test_copies_are_not_links(fetch: Fetch, association: Path) -> None:
    """Header edits on the copy must not reach the original, whatever the original is."""
    original = association / "jh0001acq_raw.fits"
    (association / "jh0001adq_raw.fits").symlink_to(original)
    before = original.read_bytes()
    (file,) = fetch("jh0001acq", association).files

    Path(file.path).write_bytes(b"edited")

    assert original.read_bytes() == before
    assert not Path(file.path).is_symlink()
    assert Path(file.path).stat().st_nlink == 1


def test_upper_case_names_become_lower_case(
    fetch: Fetch, write_raw: WriteRaw, tmp_path: Path
) -> None:
    """Old media have upper-case names; programs expect lower case."""
    folder = tmp_path / "cd"
    folder.mkdir()
    write_raw(folder / "JH0001AAQ_RAW.FITS", ROOTNAME="jh0001aaq")
    assert names(fetch("JH0001AAQ", folder)) == ["jh0001aaq_raw.fits"]


def test_two_spellings_of_one_file_are_refused(
    fetch: Fetch, association: Path, write_raw: WriteRaw
) -> None:
    """Which of them is meant cannot be known; other datasets' files do not matter."""
    write_raw(association / "jh0001aaq_RAW.fits", ROOTNAME="jh0001aaq")
    with pytest.raises(CorruptFile, match="case only"):
        fetch("jh0001aaq", association)
    assert names(fetch("jh0001abq", association)) == ["jh0001abq_raw.fits"]


@pytest.mark.parametrize("prefix", ["", "jh0001010/"])
@pytest.mark.parametrize("directly", [False, True])
def test_archive_gives_the_same_as_plain_files(
    fetch: Fetch, association: Path, tmp_path: Path, prefix: str, directly: bool
) -> None:
    """CALDP's tarball in a folder, or an archive named in the URI: same files, same hashes."""
    (tmp_path / "tars").mkdir()
    archive = pack(association, tmp_path / "tars" / "jh0001010.tar.gz", prefix)
    plain = fetch_inputs(parse_dataset("jh0001010"), f"file:{association}", tmp_path / "plain")

    inputs = fetch("jh0001010", archive if directly else archive.parent)

    assert [(f.name, f.sha256) for f in inputs.files] == [(f.name, f.sha256) for f in plain.files]
    assert inputs.members == plain.members
    assert inputs.source == f"file:{archive}"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == names(inputs)


def test_plain_files_win_over_an_archive(fetch: Fetch, association: Path) -> None:
    """What lies open was put there on purpose; the archive, here a broken one, stays shut."""
    (association / "jh0001aaq.tar.gz").write_bytes(b"broken")
    assert names(fetch("jh0001aaq", association)) == ["jh0001aaq_raw.fits"]


def test_only_the_archive_of_exactly_this_name_is_opened(
    fetch: Fetch, association: Path, tmp_path: Path
) -> None:
    """CALDP takes any ippps*.tar.gz; a neighbour's archive is not this dataset's."""
    (tmp_path / "tars").mkdir()
    pack(association, tmp_path / "tars" / "jh0001aaq.tar.gz")
    with pytest.raises(NotFound, match=r"jh0001abq\.tar\.gz; found jh0001aaq\.tar\.gz"):
        fetch("jh0001abq", tmp_path / "tars")


def test_limits_reach_the_archive(fetch: Fetch, association: Path, tmp_path: Path) -> None:
    """The caller's limits are the ones that hold."""
    archive = pack(association, tmp_path / "x.tar.gz")
    with pytest.raises(CorruptFile, match="limit of members"):
        fetch("jh0001010", archive, TarLimits(members=1))


def test_missing_members_are_listed_and_nothing_is_left(
    fetch: Fetch, association: Path, tmp_path: Path
) -> None:
    """A partial association is refused, with what is missing and what was found."""
    (association / "jh0001abq_raw.fits").unlink()
    with pytest.raises(MissingMember, match=r"1 of 2 .* missing: jh0001abq") as caught:
        fetch("jh0001010", association)
    assert caught.value.code == 21
    assert "jh0001acq_raw.fits" in str(caught.value.found)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make", [True, False])
def test_empty_or_absent_folder(fetch: Fetch, tmp_path: Path, make: bool) -> None:
    """Exit code 21 and the folder's name; no debris."""
    if make:
        (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound) as caught:
        fetch("jh0001aaq", tmp_path / "empty")
    assert (caught.value.code, caught.value.path) == (21, str(tmp_path / "empty"))
    assert not (tmp_path / "out").exists()


def test_damaged_file_is_named_where_it_lies(fetch: Fetch, association: Path) -> None:
    """The message names the user's file, not the private copy."""
    path = association / "jh0001abq_raw.fits"
    path.write_bytes(path.read_bytes()[:-2880])
    with pytest.raises(CorruptFile) as caught:
        fetch("jh0001010", association)
    assert (caught.value.path, caught.value.dataset) == (str(path), "jh0001010")


def test_damaged_file_in_an_archive_names_both(
    fetch: Fetch, association: Path, tmp_path: Path
) -> None:
    """The archive and the file inside it."""
    (association / "jh0001aaq_raw.fits").write_bytes(b"SIMPLE  =" + b"x" * 2871)
    archive = pack(association, tmp_path / "x.tar.gz")
    with pytest.raises(CorruptFile) as caught:
        fetch("jh0001aaq", archive)
    assert caught.value.path == f"{archive}/jh0001aaq_raw.fits"


def test_destination_is_never_overwritten(fetch: Fetch, association: Path, tmp_path: Path) -> None:
    """All files or none appear; the source folder itself is no destination."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "jh0001abq_raw.fits").write_text("mine")
    with pytest.raises(ConfigError, match=r"found jh0001abq_raw\.fits\)"):
        fetch("jh0001010", association)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["jh0001abq_raw.fits"]
    before = {p: p.read_bytes() for p in association.iterdir()}
    with pytest.raises(ConfigError, match="fresh folder"):
        fetch_inputs(parse_dataset("jh0001aaq"), f"file:{association}", association)
    assert {p: p.read_bytes() for p in association.iterdir()} == before


def test_destination_that_cannot_be_a_folder(
    fetch: Fetch, association: Path, tmp_path: Path
) -> None:
    """A file in the way is a setting to mend: code 2."""
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ConfigError, match="cannot write") as caught:
        fetch("jh0001aaq", association)
    assert caught.value.code == 2


def test_none_is_no_source(fetch: Fetch) -> None:
    """It is an output."""
    with pytest.raises(ConfigError, match="no source"):
        fetch("jh0001aaq", "none")


@pytest.mark.parametrize(
    ("failure", "kind", "message"),
    [
        (PermissionError(13, "Permission denied"), NotFound, "may not be read"),
        (OSError(28, "No space left on device"), Unavailable, "No space left"),
        (OSError(5, "Input/output error"), Unavailable, "Input/output error"),
    ],
)
def test_failures_of_the_system_are_told_apart(
    fetch: Fetch,
    association: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: OSError,
    kind: type[HstflowError],
    message: str,
) -> None:
    """Permission is final; a full disk or a hiccup of the network may pass and is retried."""

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr("calib.fetch.holdings.copy_stream", fail)
    with pytest.raises(kind, match=message) as caught:
        fetch("jh0001aaq", association)
    assert caught.value.code == 21
    assert not (tmp_path / "out").exists()


def test_pipes_and_folders_with_fits_names_are_no_files(fetch: Fetch, tmp_path: Path) -> None:
    """Opening a pipe would wait for ever."""
    folder = tmp_path / "odd"
    (folder / "jh0001abq_raw.fits").mkdir(parents=True)
    os.mkfifo(folder / "jh0001aaq_raw.fits")
    for dataset in ("jh0001aaq", "jh0001abq"):
        with pytest.raises(NotFound, match="nothing"):
            fetch(dataset, folder)


def test_table_without_its_columns_is_refused(
    fetch: Fetch, association: Path, write_table: WriteTable
) -> None:
    """A FITS file of that name with another table in it."""
    path = association / "jh0001010_asn.fits"
    with fits.open(path, mode="update") as hdus:
        hdus[1].columns.change_name("MEMTYPE", "TYPE")
    with pytest.raises(CorruptFile, match="no association table"):
        fetch("jh0001010", association)


def test_golden_association_table(shared: Path, tmp_path: Path) -> None:
    """A table as HSTCAL leaves it."""
    packed = shared / "golden" / "products" / "acs_hrc_asn" / "jh0001010_asn.fits.gz"
    path = tmp_path / "jh0001010_asn.fits"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    assert read_association(path).required == ("jh0001aaq", "jh0001abq")


def test_real_exposures_of_absent_associations_pass(crds_pack: Path, tmp_path: Path) -> None:
    """Three real HRC exposures, each alone."""
    roots = ("j8bt05njq", "j8bt06o6q", "j8bt09jcq")
    for root in roots:
        inputs = fetch_inputs(parse_dataset(root), f"file:{crds_pack / 'raw'}", tmp_path / root)
        assert names(inputs) == [f"{root}_raw.fits"]
    with pytest.raises(NotFound, match=r"j8bt06040_asn\.fits.*found j8bt05njq_raw\.fits"):
        fetch_inputs(parse_dataset("j8bt06040"), f"file:{crds_pack / 'raw'}", tmp_path / "asn")


def test_folder_with_a_folder_for_each_dataset(
    fetch: Fetch, association: Path, tmp_path: Path
) -> None:
    """What `hstflow fetch` has written is found again; files of the folder itself come first."""
    own = tmp_path / "many" / "jh0001aaq"
    own.mkdir(parents=True)
    shutil.copy(association / "jh0001aaq_raw.fits", own)

    inputs = fetch("jh0001aaq", own.parent)

    assert names(inputs) == ["jh0001aaq_raw.fits"]
    assert inputs.source == f"file:{own}"


def test_empty_folder_of_a_dataset_is_no_input(fetch: Fetch, tmp_path: Path) -> None:
    """The message names the folder that was looked at."""
    own = tmp_path / "many" / "jh0001aaq"
    own.mkdir(parents=True)

    with pytest.raises(NotFound) as caught:
        fetch("jh0001aaq", own.parent)

    assert caught.value.path == str(own)
