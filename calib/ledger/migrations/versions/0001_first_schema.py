"""The first schema: jobs, and the registry of runs and products.

Revision: 0001, the first one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only in columns declared INTEGER.
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, referenced ones first."""
    _create_campaign()
    _create_exposure_header()
    _create_run()
    _create_validity()
    _create_chain()
    _create_current_run()
    _create_job()
    _create_attempt()
    _create_input_used()
    _create_product()
    _create_reference_used()
    _create_stage_run()
    _create_transition()
    _create_tag()


def _create_campaign() -> None:
    op.create_table(
        "campaign",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("context", sa.String(length=255), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_campaign"),
        sa.UniqueConstraint("name", name="uq_campaign_name"),
    )


def _create_exposure_header() -> None:
    op.create_table(
        "exposure_header",
        sa.Column("id", KEY, nullable=False),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("exposure", sa.String(length=255), nullable=False),
        sa.Column("context", sa.String(length=255), nullable=False),
        sa.Column("header", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_exposure_header"),
        sa.UniqueConstraint(
            "dataset", "exposure", "context", name="uq_exposure_header_dataset_exposure_context"
        ),
    )
    op.create_index("ix_exposure_header_context", "exposure_header", ["context"])


def _create_run() -> None:
    op.create_table(
        "run",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("context", sa.String(length=255), nullable=False),
        sa.Column("engine", sa.String(length=255), nullable=False),
        sa.Column("engine_version", sa.String(length=255), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
        sa.UniqueConstraint("name", name="uq_run_name"),
    )


def _create_validity() -> None:
    op.create_table(
        "validity",
        sa.Column("id", KEY, nullable=False),
        sa.Column("collection", sa.String(length=255), nullable=False),
        sa.Column("instrument", sa.String(length=8), nullable=False),
        sa.Column("detector", sa.String(length=32), nullable=False),
        sa.Column("keyword", sa.String(length=32), nullable=False),
        sa.Column("reference", sa.String(length=255), nullable=False),
        sa.Column("sha1", sa.String(length=40), nullable=True),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("begins_at", sa.String(length=32), nullable=True),
        sa.Column("ends_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_validity"),
    )
    op.create_index("ix_validity_collection_keyword", "validity", ["collection", "keyword"])


def _create_chain() -> None:
    op.create_table(
        "chain",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("run_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_chain_run_id_run"),
        sa.PrimaryKeyConstraint("id", name="pk_chain"),
        sa.UniqueConstraint("name", "position", name="uq_chain_name_position"),
        sa.UniqueConstraint("name", "run_id", name="uq_chain_name_run_id"),
    )


def _create_current_run() -> None:
    op.create_table(
        "current_run",
        sa.Column("id", KEY, nullable=False),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("run_id", KEY, nullable=False),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_current_run_run_id_run"),
        sa.PrimaryKeyConstraint("id", name="pk_current_run"),
        sa.UniqueConstraint("dataset", name="uq_current_run_dataset"),
    )


def _create_job() -> None:
    op.create_table(
        "job",
        sa.Column("id", KEY, nullable=False),
        sa.Column("campaign_id", KEY, nullable=False),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("instrument", sa.String(length=8), nullable=False),
        sa.Column("run", sa.String(length=255), nullable=False),
        sa.Column("context", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("error_class", sa.String(length=255), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("uri", sa.Text(), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name="fk_job_campaign_id_campaign"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.UniqueConstraint("campaign_id", "dataset", "run", name="uq_job_campaign_id_dataset_run"),
    )
    op.create_index("ix_job_campaign_id_state", "job", ["campaign_id", "state"])
    op.create_index("ix_job_dataset", "job", ["dataset"])
    op.create_index("ix_job_state", "job", ["state"])
    op.create_index("ix_job_updated_at", "job", ["updated_at"])


def _create_attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", KEY, nullable=False),
        sa.Column("job_id", KEY, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("process_started", sa.Float(precision=53), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("started_at", sa.String(length=32), nullable=False),
        sa.Column("heartbeat_at", sa.String(length=32), nullable=False),
        sa.Column("ended_at", sa.String(length=32), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("error_class", sa.String(length=255), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("warnings", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_attempt_job_id_job"),
        sa.PrimaryKeyConstraint("id", name="pk_attempt"),
        sa.UniqueConstraint("job_id", "number", name="uq_attempt_job_id_number"),
    )


def _create_input_used() -> None:
    op.create_table(
        "input_used",
        sa.Column("id", KEY, nullable=False),
        sa.Column("attempt_id", KEY, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("suffix", sa.String(length=255), nullable=False),
        sa.Column("rootname", sa.String(length=255), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempt.id"], name="fk_input_used_attempt_id_attempt"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_input_used"),
        sa.UniqueConstraint("attempt_id", "name", name="uq_input_used_attempt_id_name"),
    )
    op.create_index("ix_input_used_rootname", "input_used", ["rootname"])


def _create_product() -> None:
    op.create_table(
        "product",
        sa.Column("id", KEY, nullable=False),
        sa.Column("run_id", KEY, nullable=False),
        sa.Column("attempt_id", KEY, nullable=True),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("suffix", sa.String(length=255), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempt.id"], name="fk_product_attempt_id_attempt"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_product_run_id_run"),
        sa.PrimaryKeyConstraint("id", name="pk_product"),
        sa.UniqueConstraint("run_id", "dataset", "name", name="uq_product_run_id_dataset_name"),
    )
    op.create_index("ix_product_attempt_id", "product", ["attempt_id"])
    op.create_index("ix_product_dataset", "product", ["dataset"])


def _create_reference_used() -> None:
    op.create_table(
        "reference_used",
        sa.Column("id", KEY, nullable=False),
        sa.Column("attempt_id", KEY, nullable=False),
        sa.Column("exposure", sa.String(length=255), nullable=False),
        sa.Column("keyword", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("sha1", sa.String(length=40), nullable=True),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempt.id"], name="fk_reference_used_attempt_id_attempt"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_reference_used"),
        sa.UniqueConstraint(
            "attempt_id",
            "exposure",
            "keyword",
            name="uq_reference_used_attempt_id_exposure_keyword",
        ),
    )
    op.create_index("ix_reference_used_name", "reference_used", ["name"])


def _create_stage_run() -> None:
    op.create_table(
        "stage_run",
        sa.Column("id", KEY, nullable=False),
        sa.Column("attempt_id", KEY, nullable=False),
        sa.Column("stage", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("started_at", sa.String(length=32), nullable=False),
        sa.Column("ended_at", sa.String(length=32), nullable=True),
        sa.Column("wall", sa.Float(precision=53), nullable=True),
        sa.Column("cpu", sa.Float(precision=53), nullable=True),
        sa.Column("peak_rss", sa.BigInteger(), nullable=True),
        sa.Column("bytes_in", sa.BigInteger(), nullable=True),
        sa.Column("bytes_out", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempt.id"], name="fk_stage_run_attempt_id_attempt"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_stage_run"),
    )
    op.create_index("ix_stage_run_attempt_id", "stage_run", ["attempt_id"])


def _create_transition() -> None:
    op.create_table(
        "transition",
        sa.Column("id", KEY, nullable=False),
        sa.Column("job_id", KEY, nullable=False),
        sa.Column("attempt_id", KEY, nullable=True),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("from_state", sa.String(length=16), nullable=True),
        sa.Column("to_state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempt.id"], name="fk_transition_attempt_id_attempt"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_transition_job_id_job"),
        sa.PrimaryKeyConstraint("id", name="pk_transition"),
    )
    op.create_index("ix_transition_job_id", "transition", ["job_id"])


def _create_tag() -> None:
    op.create_table(
        "tag",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("product_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="fk_tag_product_id_product"),
        sa.PrimaryKeyConstraint("id", name="pk_tag"),
        sa.UniqueConstraint("name", "product_id", name="uq_tag_name_product_id"),
    )
