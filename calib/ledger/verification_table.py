"""The table of verifications: when a publication was last compared with its manifest."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, Table, UniqueConstraint

from calib.ledger.columns import TIME, key, metadata, refers, text_column

# The last time only: `deep` says whether the bytes were read, `problems` how many were found.
verification = Table(
    "verification",
    metadata,
    key(),
    refers("publication"),
    text_column("verified_at", TIME),
    Column("deep", Boolean, nullable=False),
    Column("problems", Integer, nullable=False),
    UniqueConstraint("publication_id"),
    Index(None, "verified_at"),
)
