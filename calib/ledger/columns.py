"""What the tables of the ledger are made of: the metadata, and the kinds of columns."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, String

# Named constraints can be altered by a migration on every database (alembic, "The Importance
# of Naming Constraints").
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only in columns declared INTEGER.
KEY = BigInteger().with_variant(Integer(), "sqlite")
TIME = String(32)
NAME = String(255)
SHA256 = String(64)
SHA1 = String(40)


def key() -> Column[int]:
    """Return the column of a row's number."""
    return Column("id", KEY, primary_key=True)


def refers(table: str, *, nullable: bool = False) -> Column[int]:
    """Return a column that refers to the row of another table."""
    return Column(f"{table}_id", KEY, ForeignKey(f"{table}.id"), nullable=nullable)


def text_column(name: str, kind: String, *, nullable: bool = False) -> Column[str]:
    """Return a column of text."""
    return Column(name, kind, nullable=nullable)
