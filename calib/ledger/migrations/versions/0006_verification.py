"""Verifications: when a publication was last compared with its manifest.

Revision: 0006, after 0005. Nothing that was there is changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only in columns declared INTEGER.
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add a table."""
    table = "verification"
    op.create_table(
        table,
        sa.Column("id", KEY, nullable=False),
        sa.Column("publication_id", KEY, nullable=False),
        sa.Column("verified_at", sa.String(32), nullable=False),
        sa.Column("deep", sa.Boolean(), nullable=False),
        sa.Column("problems", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["publication_id"],
            ["publication.id"],
            name="fk_verification_publication_id_publication",
        ),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.UniqueConstraint("publication_id", name=f"uq_{table}_publication_id"),
    )
    op.create_index(f"ix_{table}_verified_at", table, ["verified_at"])
