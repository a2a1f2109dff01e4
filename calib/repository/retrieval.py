"""Products out of the archive: as objects, as files, always those that were registered."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from calib.errors import ArchiveError, ConfigError, NotFound
from calib.fitsfile.writing import writing
from calib.formats import Reading, read_file
from calib.ledger.products import Product, ProductQuery, find_products
from calib.ledger.reports import Rows
from calib.stores.new_file import new_file
from calib.stores.store import check_key, hash_file
from calib.stores.transfer import Brought, bring, local_path


def find_product(rows: Rows, name: str, query: ProductQuery | None = None) -> Product:
    """Return the one product of a name.

    Parameters
    ----------
    rows
        Runs a SELECT on the ledger (``ledger.ask``, or
        :func:`calib.ledger.reading.open_reader`).
    name
        File name: ``j8bt05njq_flt.fits``, ``logs/process.txt``.
    query
        What else must hold: a run, a dataset... Where several runs have the product and the
        query does not decide, the current version is meant.

    Raises
    ------
    NotFound
        There is none.
    ConfigError
        There are several with different bytes, and none or several are current.
    """
    found = find_products(rows, replace(query or ProductQuery(), names=(name,)))
    if not found:
        raise NotFound("the registry has no such product", expected=name, found="nothing")
    current = [product for product in found if product.is_current]
    for those in (found, current):
        if len(those) == 1 or (len({p.sha256 for p in those}) == 1 and those[0].sha256):
            return those[-1]
    raise ConfigError(
        f"several products are called {name}",
        expected="a query that names one run and dataset",
        found=", ".join(f"{product.run}/{product.dataset}" for product in found),
    )


def get(
    product: Product,
    *,
    imset: int | None = None,
    good_bits: int = 0,
    as_path: bool = False,
    folder: Path | None = None,
    verify: bool = True,
) -> Any:
    """Read a product: CCDData, Table, Ramp, text or path (:mod:`calib.formats`).

    Parameters
    ----------
    product
        A row of :func:`calib.ledger.products.find_products`, or of :func:`find_product`.
    imset
        EXTVER of the only image set or table that is wanted; others are not read.
    good_bits
        Bits of DQ that do not mask a pixel.
    as_path
        Return the path of the file, whatever its type. A file of a folder is that of the
        archive itself: do not write to it.
    folder
        Where a file from a bucket is kept, as FOLDER/RUN/DATASET/NAME, and found again. Without
        it the file is read and forgotten, so paths need it.
    verify
        Hold the bytes against the registered checksum: one more pass over the file. Without it
        the size alone is compared.

    Raises
    ------
    ArchiveError
        The file is gone, or is not the one that was registered: both sizes or checksums are
        named.
    NotFound, CorruptFile
        There is no such image set, or the file does not hold what its name says.
    ConfigError
        `folder` is needed, or an option makes no sense.
    Proprietary, Unavailable
        The bucket does not give the file.

    Examples
    --------
    >>> from calib.ledger.ledger import open_ledger
    >>> with open_ledger("ledger.db") as ledger:  # doctest: +SKIP
    ...     flt = ledger.ask(lambda rows: find_product(rows, "j8bt05njq_flt.fits"))
    >>> image = get(flt)  # doctest: +SKIP
    """
    reading = Reading(imset, good_bits)
    if local_path(product.uri) is not None or folder is not None:
        path = find_path(product, folder, verify=verify)
        return path if as_path else read_file(path, reading, type=product.type)
    if as_path:
        raise _without_folder(product)
    with tempfile.TemporaryDirectory(prefix="hstflow-get-") as scratch:
        path = Path(scratch) / check_key(product.name).rpartition("/")[2]
        copy_out(product, path, verify=verify)
        found = read_file(path, reading, type=product.type)
    if isinstance(found, Path):  # no format reads a file of this name
        raise _without_folder(product)
    return found


def find_path(product: Product, folder: Path | None = None, *, verify: bool = True) -> Path:
    """Return a path of a product: where it lies, or of a copy in a folder.

    Raises
    ------
    ArchiveError, ConfigError, Proprietary, Unavailable
        As :func:`get`.
    """
    path = local_path(product.uri)
    if path is not None:
        _check_file(product, path, verify=verify)
        return path
    if folder is None:
        raise _without_folder(product)
    target = place_below(product, folder / check_key(product.run))
    copy_out(product, target, verify=verify)
    return target


def copy_out(product: Product, target: Path, *, verify: bool = True) -> bool:
    """Copy a product; the file appears whole, and a file that is there is never overwritten.

    Parameters
    ----------
    target
        The new file; its folder is made.
    verify
        Hold the bytes against the registered checksum, not the size alone.

    Returns
    -------
    bool
        False where the file was there already, with the right bytes.

    Raises
    ------
    ArchiveError
        The product is gone or has changed, another file is there, or the target cannot be
        written.
    ConfigError, Proprietary, Unavailable
        As :func:`get`.
    """
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with new_file(target) as part:
                _check(product, _bring(product, part), verify=verify)
        except FileExistsError:
            _refuse_other(product, target)
            return False
    return True


def refuse_ambiguous(products: Sequence[Product]) -> None:
    """Refuse products that would be copied to the same place.

    Raises
    ------
    ConfigError
        Two runs hold a product of the same dataset and name.
    """
    runs: dict[tuple[str, str], list[str]] = {}
    for product in products:
        runs.setdefault((product.dataset, product.name), []).append(product.run)
    several = {f"{d}/{n}": names for (d, n), names in runs.items() if len(names) > 1}
    if several:
        name, found = next(iter(several.items()))
        message = f"{len(several)} products are in several of the runs that were asked for"
        raise ConfigError(message, path=name, expected="one run", found=", ".join(found))


def place_below(product: Product, folder: Path) -> Path:
    """Return where a product is copied to below a folder: DATASET/NAME.

    Raises
    ------
    ConfigError
        Dataset or name could lead out of the folder: a registry may be somebody else's.
    """
    return folder / check_key(f"{product.dataset}/{product.name}")


def _bring(product: Product, part: Path) -> Brought:
    try:
        return bring(product.uri, part)
    except NotFound as error:
        raise _gone(product) from error


def _check_file(product: Product, path: Path, *, verify: bool) -> None:
    if not path.is_file():
        raise _gone(product)
    size = path.stat().st_size
    wanted = verify and size == product.size and product.sha256 is not None
    _check(product, Brought(hash_file(path) if wanted else "", size), verify=verify)


def _check(product: Product, found: Brought, *, verify: bool) -> None:
    """Raise where bytes are not those that were registered."""
    has_sum = verify and product.sha256 is not None
    if found.size == product.size and (not has_sum or found.sha256 == product.sha256):
        return
    raise ArchiveError(
        "a product is not the file that was registered",
        dataset=product.dataset,
        path=product.uri,
        expected=f"{product.size} bytes, sha256 {product.sha256}",
        found=f"{found.size} bytes" + (f", sha256 {found.sha256}" if found.sha256 else ""),
    )


def _refuse_other(product: Product, target: Path) -> None:
    is_same = target.is_file() and target.stat().st_size == product.size
    if not is_same or product.sha256 not in {None, hash_file(target)}:
        raise ArchiveError(
            "another file is there, and is not overwritten",
            dataset=product.dataset,
            path=target,
            expected=f"{product.size} bytes, sha256 {product.sha256}",
        )


def _without_folder(product: Product) -> ConfigError:
    message = "a path to a file from a bucket needs a folder to keep it in"
    return ConfigError(message, path=product.uri, expected="folder=...")


def _gone(product: Product) -> ArchiveError:
    return ArchiveError(
        "a product does not lie where the registry says",
        dataset=product.dataset,
        path=product.uri,
        expected=f"{product.name} of run {product.run}",
        found="nothing that can be read",
    )
