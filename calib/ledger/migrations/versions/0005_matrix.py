"""Pages of 100,000 datasets: how the last attempt of a job ended, and indexes to look it up by.

Revision: 0005, after 0004. The new columns are filled in from the attempts that are there; an index
gives way to a longer one that begins alike.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

IS_FAILED = sa.text("error_class IS NOT NULL")
HAS_ENDED = sa.text("seconds IS NOT NULL")

PLACE = ["campaign_id", "state", "instrument", "dataset", "attempts"]

# Seconds between two times, in the words of each database: zero where a clock was set back.
SPANS = {
    "sqlite": "MAX(0.0, 86400.0 * (julianday(ended_at) - julianday(started_at)))",
    "postgresql": (
        "CASE WHEN ended_at IS NULL THEN NULL ELSE GREATEST(0.0, EXTRACT(EPOCH FROM "
        "CAST(ended_at AS TIMESTAMPTZ) - CAST(started_at AS TIMESTAMPTZ))) END"
    ),
}

FILL_SECONDS = """
UPDATE job SET seconds = (
  SELECT {span} FROM attempt WHERE attempt.job_id = job.id AND attempt.number = job.attempts
)
WHERE job.attempts > 0
"""

FILL_STAGE = """
UPDATE job SET failed_stage = (
  SELECT stage_run.stage FROM stage_run JOIN attempt ON attempt.id = stage_run.attempt_id
  WHERE attempt.job_id = job.id AND attempt.number = job.attempts
    AND stage_run.state IN ('error', 'interrupted')
  ORDER BY CASE WHEN stage_run.state = 'error' THEN 0 ELSE 1 END, stage_run.id LIMIT 1
)
WHERE job.state IN ('error', 'blocked', 'cancelled')
"""


def upgrade() -> None:
    """Add columns, fill them in, then the indexes."""
    op.add_column("job", sa.Column("failed_stage", sa.String(32), nullable=True))
    op.add_column("job", sa.Column("seconds", sa.Float(53), nullable=True))
    op.execute(FILL_SECONDS.format(span=SPANS[op.get_bind().dialect.name]))
    op.execute(FILL_STAGE)
    op.drop_index("ix_job_campaign_id_state", "job")
    _index("ix_job_campaign_id_state_instrument_dataset_attempts", PLACE)
    _index("ix_job_campaign_id_updated_at", ["campaign_id", "updated_at"])
    _index("ix_job_campaign_id_seconds", ["campaign_id", "seconds"], HAS_ENDED)
    failed = ["campaign_id", "error_class", "code", "failed_stage", "state", "dataset"]
    _index("ix_job_failed", failed, IS_FAILED)


def _index(name: str, columns: list[str], where: sa.TextClause | None = None) -> None:
    op.create_index(name, "job", columns, sqlite_where=where, postgresql_where=where)
