"""The tables of reprocessings: which datasets a new context touches, and what was decided."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, String, Table, Text, UniqueConstraint

from calib.ledger.columns import NAME, TIME, key, metadata, refers, text_column

# A reprocessing: the datasets that a change of context (or a list, a query, a reference) marks,
# from plan to final report. `transition` is "OLD->NEW" where a change of the operational context
# asked for it: unique, so that two triggers make one reprocessing. `trigger` says what asked
# (context, list, query, reference), `origin` with which words (JSON). `plan` is how its campaigns
# run (JSON, a CampaignPlan), `foresight` what was predicted (JSON). `report` is where the canary's
# difference report lies. `reason` says why it stands where it stands. The process that takes it
# on holds it (host to heartbeat_at, as in attempt), one at a time; NULL: nobody does.
reprocessing = Table(
    "reprocessing",
    metadata,
    key(),
    text_column("name", NAME),
    text_column("old_context", NAME, nullable=True),
    text_column("new_context", NAME),
    text_column("transition", NAME, nullable=True),
    text_column("trigger", String(16)),
    text_column("origin", Text()),
    text_column("state", String(16)),
    text_column("reason", Text(), nullable=True),
    text_column("plan", Text()),
    text_column("foresight", Text(), nullable=True),
    text_column("report", Text(), nullable=True),
    text_column("host", NAME, nullable=True),
    Column("pid", Integer, nullable=True),
    Column("process_started", Float(53), nullable=True),
    text_column("token", String(32), nullable=True),
    text_column("heartbeat_at", TIME, nullable=True),
    text_column("created_at", TIME),
    text_column("updated_at", TIME),
    UniqueConstraint("name"),
    UniqueConstraint("transition"),
    Index(None, "state"),
)

# A dataset that it marks. `changes` is why: old and new reference by keyword (JSON). `wave`: 1
# exposures and associations, 2 visits (SVM), 3 skycells (MVM). `left_out` says why it is not run.
marked_dataset = Table(
    "marked_dataset",
    metadata,
    key(),
    refers("reprocessing"),
    text_column("dataset", NAME),
    text_column("kind", String(8)),
    text_column("instrument", String(8)),
    Column("wave", Integer, nullable=False),
    Column("is_canary", Boolean, nullable=False),
    text_column("changes", Text()),
    text_column("left_out", Text(), nullable=True),
    UniqueConstraint("reprocessing_id", "dataset"),
    Index(None, "reprocessing_id", "wave"),
    Index(None, "dataset"),
)

# Rows are only ever added: what happened to a reprocessing, and who said so.
reprocessing_step = Table(
    "reprocessing_step",
    metadata,
    key(),
    refers("reprocessing"),
    text_column("at", TIME),
    text_column("from_state", String(16), nullable=True),
    text_column("to_state", String(16)),
    text_column("who", NAME),
    text_column("note", Text(), nullable=True),
    Index(None, "reprocessing_id"),
)

# Operational contexts in the order in which we saw them, by the server (or cache) that named them.
context_seen = Table(
    "context_seen",
    metadata,
    key(),
    text_column("source", NAME),
    text_column("context", NAME),
    text_column("seen_at", TIME),
    Index(None, "source"),
)
