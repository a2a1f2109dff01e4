"""Reprocessing: what a new context marks, what was decided, and contexts in the order seen.

Revision: 0004, after 0003. Nothing that was there is changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only in columns declared INTEGER.
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add tables."""
    _create_reprocessing()
    _create_marked_dataset()
    _create_reprocessing_step()
    _create_context_seen()


def _key() -> sa.Column[int]:
    return sa.Column("id", KEY, nullable=False)


def _text(name: str, length: int | None = None, *, nullable: bool = False) -> sa.Column[str]:
    kind = sa.Text() if length is None else sa.String(length)
    return sa.Column(name, kind, nullable=nullable)


def _reprocessing_id(table: str) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    key = f"fk_{table}_reprocessing_id_reprocessing"
    return (
        sa.Column("reprocessing_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(["reprocessing_id"], ["reprocessing.id"], name=key),
    )


def _create_reprocessing() -> None:
    op.create_table(
        "reprocessing",
        _key(),
        _text("name", 255),
        _text("old_context", 255, nullable=True),
        _text("new_context", 255),
        _text("transition", 255, nullable=True),
        _text("trigger", 16),
        _text("origin"),
        _text("state", 16),
        _text("reason", nullable=True),
        _text("plan"),
        _text("foresight", nullable=True),
        _text("report", nullable=True),
        _text("host", 255, nullable=True),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("process_started", sa.Float(53), nullable=True),
        _text("token", 32, nullable=True),
        _text("heartbeat_at", 32, nullable=True),
        _text("created_at", 32),
        _text("updated_at", 32),
        sa.PrimaryKeyConstraint("id", name="pk_reprocessing"),
        sa.UniqueConstraint("name", name="uq_reprocessing_name"),
        sa.UniqueConstraint("transition", name="uq_reprocessing_transition"),
    )
    op.create_index("ix_reprocessing_state", "reprocessing", ["state"])


def _create_marked_dataset() -> None:
    table = "marked_dataset"
    op.create_table(
        table,
        _key(),
        *_reprocessing_id(table),
        _text("dataset", 255),
        _text("kind", 8),
        _text("instrument", 8),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("is_canary", sa.Boolean(), nullable=False),
        _text("changes"),
        _text("left_out", nullable=True),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.UniqueConstraint(
            "reprocessing_id", "dataset", name=f"uq_{table}_reprocessing_id_dataset"
        ),
    )
    op.create_index(f"ix_{table}_reprocessing_id_wave", table, ["reprocessing_id", "wave"])
    op.create_index(f"ix_{table}_dataset", table, ["dataset"])


def _create_reprocessing_step() -> None:
    table = "reprocessing_step"
    op.create_table(
        table,
        _key(),
        *_reprocessing_id(table),
        _text("at", 32),
        _text("from_state", 16, nullable=True),
        _text("to_state", 16),
        _text("who", 255),
        _text("note", nullable=True),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )
    op.create_index(f"ix_{table}_reprocessing_id", table, ["reprocessing_id"])


def _create_context_seen() -> None:
    op.create_table(
        "context_seen",
        _key(),
        _text("source", 255),
        _text("context", 255),
        _text("seen_at", 32),
        sa.PrimaryKeyConstraint("id", name="pk_context_seen"),
    )
    op.create_index("ix_context_seen_source", "context_seen", ["source"])
