"""The registry for Python users: what exists, where it came from, and collections of it.

::

    from calib.repository.repository import open_repository

    repository = open_repository()
    for product in repository.products(types=("flt",), filter="F606W", current=True):
        image = repository.get(product)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from calib.errors import ConfigError
from calib.ledger import holdings
from calib.ledger.description import Description, describe
from calib.ledger.lineage import Lineage, Use, made_from, used_by
from calib.ledger.location import as_url, hide_credentials, ledger_url
from calib.ledger.products import (
    Amount,
    Product,
    ProductQuery,
    Run,
    count_products,
    find_products,
    find_runs,
)
from calib.ledger.reading import open_reader
from calib.records import Archived
from calib.repository.origins import complete, read_making

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from calib.ledger.reports import Rows

T = TypeVar("T")


def open_repository(ledger: str | None = None) -> Repository:
    """Return the repository of a ledger.

    Parameters
    ----------
    ledger
        URL of the ledger, or the path of a SQLite file; None takes the one that the commands
        take: ``HSTFLOW_LEDGER``, else the user's own.
    """
    return Repository(ledger_url(os.environ) if ledger is None else as_url(ledger))


@dataclass(frozen=True)
class Repository:
    """What is published, as the ledger knows it.

    Every call is one question or one transaction; nothing is kept open between them.

    Attributes
    ----------
    url
        URL of the ledger.
    """

    url: str

    def products(self, **asked: Any) -> list[Product]:
        """Return products.

        Parameters
        ----------
        **asked
            Fields of :class:`calib.ledger.products.ProductQuery`.

        Raises
        ------
        ConfigError
            There is no ledger, or a collection that was asked for does not exist.
        TypeError
            There is no such field.
        """
        query = ProductQuery(**asked)
        return self._ask(lambda rows: find_products(rows, query))

    def count(self, **asked: Any) -> dict[str, Amount]:
        """Return how many products of each type there are, and their bytes.

        Parameters and errors as for :meth:`products`.
        """
        query = ProductQuery(**asked)
        return self._ask(lambda rows: count_products(rows, query))

    def runs(self, *names: str, kind: str | None = None, context: str | None = None) -> list[Run]:
        """Return runs: see :func:`calib.ledger.products.find_runs`."""
        return self._ask(lambda rows: find_runs(rows, names, kind=kind, context=context))

    def describe(self, name: str, *, run: str | None = None) -> Description:
        """Return all about a dataset, file or reference.

        See :func:`calib.ledger.description.describe`.
        """
        return self._ask(lambda rows: describe(rows, name, run=run))

    def lineage(self, run: str, dataset: str) -> Lineage:
        """Return what a publication was made from.

        Inputs and references that the ledger does not know (it was rebuilt) are read from the
        manifest.

        Raises
        ------
        ConfigError
            There is no such publication.
        ArchiveError
            The manifest is needed and cannot be read.
        Unavailable
            The same, in a bucket that does not answer.
        """
        found = self._ask(lambda rows: made_from(rows, run, dataset))
        needed = not found.recorded and found.manifest_sha256 is not None
        return complete(found, read_making(found)) if needed else found

    def used_by(self, *words: str) -> list[Use]:
        """Return what was made from a file or with a reference.

        See :func:`calib.ledger.lineage.used_by`.
        """
        return self._ask(lambda rows: used_by(rows, *words))

    def get(self, product: Product | str, **how: Any) -> Any:
        """Read a product: CCDData, Table, Ramp, text or path.

        Parameters
        ----------
        product
            One of :meth:`products`, or the name of a file of the current version.
        **how
            As for :func:`calib.repository.retrieval.get`.
        """
        from calib.repository import retrieval

        if isinstance(product, str):
            name = product
            product = self._ask(lambda rows: retrieval.find_product(rows, name))
        return retrieval.get(product, **how)

    def put(
        self,
        objects: Mapping[str, Any],
        dataset: str,
        run: str,
        *,
        output: str,
        parameters: Mapping[str, Any] | None = None,
    ) -> Archived:
        """Publish objects as products of a dataset, all of them or none.

        See :func:`calib.repository.deposit.put`.
        """
        from calib.ledger.ledger import open_ledger
        from calib.repository.deposit import put

        with open_ledger(self.url) as ledger:
            return put(objects, dataset, run, output=output, ledger=ledger, parameters=parameters)

    def collections(self) -> list[holdings.Collection]:
        """Return chains, tags and calibration collections, by name."""
        return self._ask(holdings.list_collections)

    def chain(self, name: str) -> list[str]:
        """Return the runs of a chain in order, with those of the chains in it.

        Raises
        ------
        ConfigError
            There is no such chain.
        """
        return self._ask(lambda rows: holdings.chain_runs(rows, name))

    def chain_members(self, name: str) -> list[str]:
        """Return the runs and chains of a chain in order, as it was defined.

        Raises
        ------
        ConfigError
            There is no such chain.
        """
        return self._ask(lambda rows: holdings.chain_members(rows, name))

    def define_chain(
        self, name: str, *members: str, flatten: bool = False, note: str | None = None
    ) -> None:
        """Make or redefine a chain: see :func:`calib.ledger.collections.define_chain`."""
        from calib.ledger.collections import define_chain

        self._write(lambda c: define_chain(c, name, members, flatten=flatten, note=note))

    def extend_chain(
        self, name: str, *members: str, where: Literal["front", "back"] = "front"
    ) -> None:
        """Put runs into a chain: see :func:`calib.ledger.collections.extend_chain`."""
        from calib.ledger.collections import extend_chain

        self._write(lambda c: extend_chain(c, name, members, where=where))

    def tag(self, name: str, products: Iterable[Product]) -> int:
        """Put products into a tag: see :func:`calib.ledger.collections.tag_products`."""
        from calib.ledger.collections import tag_products

        numbers = [product.id for product in products]
        return self._write(lambda c: tag_products(c, name, numbers))

    def untag(self, name: str, products: Iterable[Product]) -> int:
        """Take products out of a tag: see :func:`calib.ledger.collections.untag_products`."""
        from calib.ledger.collections import untag_products

        numbers = [product.id for product in products]
        return self._write(lambda c: untag_products(c, name, numbers))

    def remove(self, name: str) -> None:
        """Forget a collection: see :func:`calib.ledger.collections.remove_collection`."""
        from calib.ledger.collections import remove_collection

        self._write(lambda c: remove_collection(c, name))

    def _ask(self, question: Callable[[Rows], T]) -> T:
        with self._reader() as rows:
            return question(rows)

    @contextmanager
    def _reader(self) -> Iterator[Rows]:
        with open_reader(self.url) as rows:
            if rows is None:
                message = "there is no ledger yet"
                raise ConfigError(message, path=hide_credentials(self.url))
            yield rows

    def _write(self, work: Callable[[Connection], T]) -> T:
        from calib.ledger.ledger import open_ledger

        with open_ledger(self.url) as ledger:
            return ledger.write(work)
