"""The tables that say what happened: campaigns, jobs, attempts, and what they cost."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from calib.ledger.columns import NAME, SHA256, TIME, key, metadata, refers, text_column

# `plan` is how to go on with it (JSON: request, runner, rungs), so that a name is enough to resume
# it; None for one that nobody planned, such as adhoc. `control` is what an operator wants: run,
# pause or cancel; whoever is at work on it looks there.
campaign = Table(
    "campaign",
    metadata,
    key(),
    text_column("name", NAME),
    text_column("context", NAME, nullable=True),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("control", String(8), nullable=False, server_default="run"),
    text_column("plan", Text(), nullable=True),
    text_column("created_at", TIME),
    UniqueConstraint("name"),
)

# A process at work on a campaign: one at a time, taken over when it is dead. `flow_run` is
# Prefect's number, for a link.
campaign_session = Table(
    "campaign_session",
    metadata,
    key(),
    refers("campaign"),
    text_column("host", NAME),
    Column("pid", Integer, nullable=False),
    Column("process_started", Float(53), nullable=False),
    text_column("token", String(32)),
    text_column("flow_run", String(36), nullable=True),
    text_column("started_at", TIME),
    text_column("heartbeat_at", TIME),
    text_column("ended_at", TIME, nullable=True),
    text_column("outcome", String(16), nullable=True),
    text_column("message", Text(), nullable=True),
    Index(None, "campaign_id"),
)

# `run` is the name that was asked for. The row in the table of that name is made just before
# the first publication in it; where the run holds another result of the dataset, products go
# to RUN-2, which `uri` and the publication tell.
#
# What a campaign has decided for it: its chunk and position, its priority, the memory and disk
# that it is granted (bytes), the factor on its time limits, what the manifest says of it alone
# (`overrides`, JSON) and how often it was tried again by kind (`retries`, JSON). `work_key` names
# the work, whatever campaign or run it is for: two jobs with one key are never processing at once.
#
# How its last attempt ended stands with the job, so that 100,000 can be searched and sorted:
# `failed_stage` where it has no result, `seconds` that it took.
job = Table(
    "job",
    metadata,
    key(),
    refers("campaign"),
    text_column("dataset", NAME),
    text_column("kind", String(8)),
    text_column("instrument", String(8)),
    text_column("run", NAME),
    text_column("context", NAME),
    text_column("state", String(16)),
    Column("attempts", Integer, nullable=False),
    text_column("reason", Text(), nullable=True),
    text_column("error_class", NAME, nullable=True),
    Column("code", Integer, nullable=True),
    text_column("failed_stage", String(32), nullable=True),
    Column("seconds", Float(53), nullable=True),
    text_column("uri", Text(), nullable=True),
    Column("chunk", Integer, nullable=True),
    Column("position", Integer, nullable=True),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("memory", BigInteger, nullable=True),
    Column("disk", BigInteger, nullable=True),
    Column("time_scale", Float(53), nullable=False, server_default="1"),
    text_column("overrides", Text(), nullable=True),
    text_column("retries", Text(), nullable=True),
    text_column("work_key", SHA256, nullable=True),
    text_column("created_at", TIME),
    text_column("updated_at", TIME),
    UniqueConstraint("campaign_id", "dataset", "run"),
    Index(None, "campaign_id", "state", "instrument", "dataset", "attempts"),
    Index(None, "campaign_id", "chunk", "state"),
    Index(None, "campaign_id", "updated_at"),
    Index(
        "ix_job_campaign_id_seconds",
        *("campaign_id", "seconds"),
        sqlite_where=text("seconds IS NOT NULL"),
        postgresql_where=text("seconds IS NOT NULL"),
    ),
    Index(
        "ix_job_failed",
        *("campaign_id", "error_class", "code", "failed_stage", "state", "dataset"),
        sqlite_where=text("error_class IS NOT NULL"),
        postgresql_where=text("error_class IS NOT NULL"),
    ),
    Index(
        "uq_job_work_key",
        "work_key",
        unique=True,
        sqlite_where=text("state = 'processing'"),
        postgresql_where=text("state = 'processing'"),
    ),
    Index(None, "state"),
    Index(None, "dataset"),
    Index(None, "updated_at"),
)

attempt = Table(
    "attempt",
    metadata,
    key(),
    refers("job"),
    Column("number", Integer, nullable=False),
    text_column("host", NAME),
    Column("pid", Integer, nullable=False),
    Column("process_started", Float(53), nullable=False),
    text_column("token", String(32)),
    Column("memory", BigInteger, nullable=True),
    Column("time_scale", Float(53), nullable=False, server_default="1"),
    text_column("started_at", TIME),
    text_column("heartbeat_at", TIME),
    text_column("ended_at", TIME, nullable=True),
    text_column("outcome", String(16), nullable=True),
    text_column("error_class", NAME, nullable=True),
    Column("code", Integer, nullable=True),
    text_column("message", Text(), nullable=True),
    text_column("warnings", Text(), nullable=True),
    UniqueConstraint("job_id", "number"),
)

stage_run = Table(
    "stage_run",
    metadata,
    key(),
    refers("attempt"),
    text_column("stage", String(32)),
    text_column("state", String(16)),
    text_column("started_at", TIME),
    text_column("ended_at", TIME, nullable=True),
    Column("wall", Float(53), nullable=True),
    Column("cpu", Float(53), nullable=True),
    Column("peak_rss", BigInteger, nullable=True),
    Column("bytes_in", BigInteger, nullable=True),
    Column("bytes_out", BigInteger, nullable=True),
    Column("disk", BigInteger, nullable=True),
    text_column("error", Text(), nullable=True),
    Index(None, "attempt_id"),
)

# What the inputs of an attempt look like: what memory and time are predicted from. The nine
# features of CALCLOUD's models (spacekit, calcloud): numbers, flags as 0 or 1.
feature = Table(
    "feature",
    metadata,
    key(),
    refers("attempt"),
    Column("n_files", Integer, nullable=False),
    Column("total_mb", Float(53), nullable=False),
    Column("drizcorr", Integer, nullable=False),
    Column("pctecorr", Integer, nullable=False),
    Column("crsplit", Integer, nullable=False),
    Column("subarray", Integer, nullable=False),
    Column("detector", Integer, nullable=False),
    Column("dtype", Integer, nullable=False),
    Column("instr", Integer, nullable=False),
    UniqueConstraint("attempt_id"),
)

# A trained model of what datasets cost (`content`, JSON: coefficients and error); the last one
# of a target counts, the others are kept to compare.
prediction = Table(
    "prediction",
    metadata,
    key(),
    text_column("target", String(16)),
    text_column("trained_at", TIME),
    Column("examples", Integer, nullable=False),
    text_column("content", Text()),
    Index(None, "target"),
)

# Rows are only ever added.
transition = Table(
    "transition",
    metadata,
    key(),
    refers("job"),
    refers("attempt", nullable=True),
    text_column("at", TIME),
    text_column("from_state", String(16), nullable=True),
    text_column("to_state", String(16)),
    text_column("reason", Text(), nullable=True),
    Index(None, "job_id"),
)
