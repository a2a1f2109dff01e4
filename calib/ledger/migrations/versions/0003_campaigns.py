"""Campaigns at scale: control, sessions, what a job is granted, features and predictions.

Revision: 0003, after 0002. Nothing that was there is changed; a job of before belongs to no chunk.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only in columns declared INTEGER.
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
AT_WORK = sa.text("state = 'processing'")


def upgrade() -> None:
    """Add columns, then tables."""
    _extend_campaign()
    _extend_job()
    op.add_column("attempt", sa.Column("memory", sa.BigInteger(), nullable=True))
    op.add_column("attempt", _scale())
    op.add_column("stage_run", sa.Column("disk", sa.BigInteger(), nullable=True))
    _create_campaign_session()
    _create_feature()
    _create_prediction()


def _key() -> sa.Column[int]:
    return sa.Column("id", KEY, nullable=False)


def _scale() -> sa.Column[float]:
    return sa.Column("time_scale", sa.Float(53), nullable=False, server_default="1")


def _extend_campaign() -> None:
    priority = sa.Column("priority", sa.Integer(), nullable=False, server_default="0")
    op.add_column("campaign", priority)
    control = sa.Column("control", sa.String(8), nullable=False, server_default="run")
    op.add_column("campaign", control)
    op.add_column("campaign", sa.Column("plan", sa.Text(), nullable=True))


def _extend_job() -> None:
    for name in ("chunk", "position"):
        op.add_column("job", sa.Column(name, sa.Integer(), nullable=True))
    priority = sa.Column("priority", sa.Integer(), nullable=False, server_default="0")
    op.add_column("job", priority)
    for name in ("memory", "disk"):
        op.add_column("job", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("job", _scale())
    for name in ("overrides", "retries"):
        op.add_column("job", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("job", sa.Column("work_key", sa.String(64), nullable=True))
    op.create_index("ix_job_campaign_id_chunk_state", "job", ["campaign_id", "chunk", "state"])
    op.create_index(
        "uq_job_work_key",
        "job",
        ["work_key"],
        unique=True,
        sqlite_where=AT_WORK,
        postgresql_where=AT_WORK,
    )


def _create_campaign_session() -> None:
    op.create_table(
        "campaign_session",
        _key(),
        sa.Column("campaign_id", KEY, nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("process_started", sa.Float(53), nullable=False),
        sa.Column("token", sa.String(32), nullable=False),
        sa.Column("flow_run", sa.String(36), nullable=True),
        sa.Column("started_at", sa.String(32), nullable=False),
        sa.Column("heartbeat_at", sa.String(32), nullable=False),
        sa.Column("ended_at", sa.String(32), nullable=True),
        sa.Column("outcome", sa.String(16), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name="fk_campaign_session_campaign_id_campaign"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_campaign_session"),
    )
    op.create_index("ix_campaign_session_campaign_id", "campaign_session", ["campaign_id"])


def _create_feature() -> None:
    flags = ("drizcorr", "pctecorr", "crsplit", "subarray", "detector", "dtype", "instr")
    op.create_table(
        "feature",
        _key(),
        sa.Column("attempt_id", KEY, nullable=False),
        sa.Column("n_files", sa.Integer(), nullable=False),
        sa.Column("total_mb", sa.Float(53), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in flags),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempt.id"], name="fk_feature_attempt_id_attempt"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_feature"),
        sa.UniqueConstraint("attempt_id", name="uq_feature_attempt_id"),
    )


def _create_prediction() -> None:
    op.create_table(
        "prediction",
        _key(),
        sa.Column("target", sa.String(16), nullable=False),
        sa.Column("trained_at", sa.String(32), nullable=False),
        sa.Column("examples", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prediction"),
    )
    op.create_index("ix_prediction_target", "prediction", ["target"])
