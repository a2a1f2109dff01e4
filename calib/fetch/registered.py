"""Input files that a registry knows: brought from where they lie, held against its checksums."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from calib.errors import INPUT, CorruptFile, HstflowError
from calib.fetch.copying import Copied
from calib.fetch.holdings import Listed
from calib.fetch.integrity import verify_file
from calib.stores.transfer import bring


@dataclass(frozen=True)
class RegisteredFile:
    """One file of a registry.

    Attributes
    ----------
    uri
        Where it lies: ``file:`` or ``s3:``.
    run
        The run that it belongs to.
    sha256
        Checksum (hexadecimal); None where nobody computed it.
    size
        Bytes.
    """

    uri: str
    run: str
    sha256: str | None
    size: int


@dataclass(frozen=True)
class RegisteredFiles:
    """Files of a registry: copied and verified when taken.

    Attributes
    ----------
    source
        The URI that the user gave.
    files
        All that may be of use, by name in lower case.
    staging
        Where they are copied to.
    taken
        Names of the files that were taken so far.
    """

    source: str
    files: Mapping[str, RegisteredFile]
    staging: Path
    code: int = INPUT
    taken: list[str] = field(default_factory=list)
    is_chosen: bool = True
    notes: Collection[str] = ()

    @property
    def origin(self) -> str:
        """The runs that the files were taken from."""
        runs = sorted({self.files[name].run for name in self.taken})
        return f"archive:{','.join(runs)}" if runs else self.source

    @property
    def names(self) -> Collection[str]:
        """Names of the files."""
        return self.files.keys()

    def describe(self, name: str) -> Listed:
        """Say what the registry says of a file."""
        return Listed(self.files[name].size, self.files[name].uri)

    def look_for(self, roots: Collection[str]) -> None:
        """Do nothing: all that may be of use was looked up before."""

    def take(self, name: str) -> Copied:
        """Bring one file, verified, into the staging folder.

        Raises
        ------
        NotFound
            It does not lie any more where the registry says.
        CorruptFile
            It is not the file that was registered, or damaged.
        """
        file, path = self.files[name], self.staging / name
        try:
            found = bring(file.uri, path)
            if found != (file.sha256 or found.sha256, file.size):
                raise CorruptFile(
                    "the file has changed since it was registered",
                    expected=f"{file.size} bytes, sha256 {file.sha256}",
                    found=f"{found.size} bytes, sha256 {found.sha256}",
                )
            verify_file(path)
        except HstflowError as error:
            error.path = f"{file.uri} of run {file.run}"
            raise
        self.taken.append(name)
        return Copied(path, found.sha256, found.size)
