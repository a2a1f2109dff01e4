"""The tables of the ledger (SQLAlchemy core), in portable types.

Times are ISO 8601 text in UTC with microseconds: they sort as text, read the same from SQLite
and PostgreSQL, and need no driver to interpret. JSON is text with sorted keys, so that equal
content compares equal.

Two halves meet at ``attempt``: *jobs* say what happened (campaign, job, attempt, stage_run,
transition), the *registry* says what exists (run, publication, product, tombstone, data_id,
member, input_used, reference_used, exposure_header, current_run) and how it is gathered
(collection, with chain_member, tagged_product or validity). What an attempt read hangs on the
attempt, not on the run: a second attempt never rewrites what the first one used, and a
publication names the attempt that made it.

People and other programs read the views of :mod:`calib.ledger.views`, which stay as they are
when tables change.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

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
_KEY = BigInteger().with_variant(Integer(), "sqlite")
_TIME = String(32)
_NAME = String(255)
_SHA256 = String(64)
_SHA1 = String(40)


def _key() -> Column[int]:
    return Column("id", _KEY, primary_key=True)


def _refers(table: str, *, nullable: bool = False) -> Column[int]:
    return Column(f"{table}_id", _KEY, ForeignKey(f"{table}.id"), nullable=nullable)


def _text(name: str, kind: String, *, nullable: bool = False) -> Column[str]:
    return Column(name, kind, nullable=nullable)


campaign = Table(
    "campaign",
    metadata,
    _key(),
    _text("name", _NAME),
    _text("context", _NAME, nullable=True),
    _text("created_at", _TIME),
    UniqueConstraint("name"),
)

# `run` is the name that was asked for. The row in the table of that name is made just before
# the first publication in it; where the run holds another result of the dataset, products go
# to RUN-2, which `uri` and the publication tell.
job = Table(
    "job",
    metadata,
    _key(),
    _refers("campaign"),
    _text("dataset", _NAME),
    _text("kind", String(8)),
    _text("instrument", String(8)),
    _text("run", _NAME),
    _text("context", _NAME),
    _text("state", String(16)),
    Column("attempts", Integer, nullable=False),
    _text("reason", Text(), nullable=True),
    _text("error_class", _NAME, nullable=True),
    Column("code", Integer, nullable=True),
    _text("uri", Text(), nullable=True),
    _text("created_at", _TIME),
    _text("updated_at", _TIME),
    UniqueConstraint("campaign_id", "dataset", "run"),
    Index(None, "campaign_id", "state"),
    Index(None, "state"),
    Index(None, "dataset"),
    Index(None, "updated_at"),
)

attempt = Table(
    "attempt",
    metadata,
    _key(),
    _refers("job"),
    Column("number", Integer, nullable=False),
    _text("host", _NAME),
    Column("pid", Integer, nullable=False),
    Column("process_started", Float(53), nullable=False),
    _text("token", String(32)),
    _text("started_at", _TIME),
    _text("heartbeat_at", _TIME),
    _text("ended_at", _TIME, nullable=True),
    _text("outcome", String(16), nullable=True),
    _text("error_class", _NAME, nullable=True),
    Column("code", Integer, nullable=True),
    _text("message", Text(), nullable=True),
    _text("warnings", Text(), nullable=True),
    UniqueConstraint("job_id", "number"),
)

stage_run = Table(
    "stage_run",
    metadata,
    _key(),
    _refers("attempt"),
    _text("stage", String(32)),
    _text("state", String(16)),
    _text("started_at", _TIME),
    _text("ended_at", _TIME, nullable=True),
    Column("wall", Float(53), nullable=True),
    Column("cpu", Float(53), nullable=True),
    Column("peak_rss", BigInteger, nullable=True),
    Column("bytes_in", BigInteger, nullable=True),
    Column("bytes_out", BigInteger, nullable=True),
    _text("error", Text(), nullable=True),
    Index(None, "attempt_id"),
)

# Rows are only ever added.
transition = Table(
    "transition",
    metadata,
    _key(),
    _refers("job"),
    _refers("attempt", nullable=True),
    _text("at", _TIME),
    _text("from_state", String(16), nullable=True),
    _text("to_state", String(16)),
    _text("reason", Text(), nullable=True),
    Index(None, "job_id"),
)

# A write-once collection of publications. `kind`: processed (by us) or ingested (made elsewhere).
run = Table(
    "run",
    metadata,
    _key(),
    _text("name", _NAME),
    Column("kind", String(16), nullable=False, server_default="processed"),
    _text("context", _NAME),
    _text("engine", _NAME),
    _text("engine_version", _NAME),
    _text("parameters", Text()),
    _text("output", Text()),
    _text("created_at", _TIME),
    UniqueConstraint("name"),
)

# A dataset in a run: everything that was published at once. `transfer` says whose the bytes
# are: ours (copy, link) or another's (in-place). A pruned publication keeps its rows, with the
# time of its removal, so that lineage does not break.
publication = Table(
    "publication",
    metadata,
    _key(),
    _refers("run"),
    _refers("attempt", nullable=True),
    _text("dataset", _NAME),
    _text("fingerprint", _SHA256, nullable=True),
    _text("uri", Text()),
    _text("manifest_sha256", _SHA256, nullable=True),
    Column("transfer", String(8), nullable=False, server_default="copy"),
    _text("published_at", _TIME),
    _text("removed_at", _TIME, nullable=True),
    UniqueConstraint("run_id", "dataset"),
    Index(None, "dataset"),
    Index(None, "attempt_id"),
)

# One file. `type` is the dataset type: the suffix of a product (raw, flt, crj), or preview,
# log, env. `rootname` is the exposure or association that the file shows. `uri` is empty where
# the file lies in the folder of its publication under its name.
product = Table(
    "product",
    metadata,
    _key(),
    _refers("publication"),
    _text("name", _NAME),
    _text("type", String(32)),
    _text("rootname", _NAME),
    _text("sha256", _SHA256, nullable=True),
    Column("size", BigInteger, nullable=False),
    _text("uri", Text(), nullable=True),
    UniqueConstraint("publication_id", "name"),
    Index(None, "rootname"),
    Index(None, "type"),
    Index(None, "name"),
    Index(None, "sha256"),
)

# A product that the run before had and this publication does not make any more.
tombstone = Table(
    "tombstone",
    metadata,
    _key(),
    _refers("publication"),
    _text("name", _NAME),
    _text("last_run", _NAME),
    UniqueConstraint("publication_id", "name"),
)

# What an exposure or association shows, by name: the words that products are asked for by.
data_id = Table(
    "data_id",
    metadata,
    _key(),
    _text("rootname", _NAME),
    _text("instrument", String(8)),
    _text("detector", String(32), nullable=True),
    _text("filter", _NAME, nullable=True),
    _text("program", String(8)),
    _text("visit", String(8)),
    Column("proposal", Integer, nullable=True),
    _text("target", _NAME, nullable=True),
    _text("observed_at", _TIME, nullable=True),
    Column("exptime", Float(53), nullable=True),
    UniqueConstraint("rootname"),
    Index(None, "instrument", "detector", "filter"),
    Index(None, "program", "visit"),
    Index(None, "proposal"),
    Index(None, "observed_at"),
)

# The rows of association tables.
member = Table(
    "member",
    metadata,
    _key(),
    _text("association", _NAME),
    _text("rootname", _NAME),
    _text("type", String(32)),
    Column("present", Boolean, nullable=False),
    UniqueConstraint("association", "rootname"),
    Index(None, "rootname"),
)

input_used = Table(
    "input_used",
    metadata,
    _key(),
    _refers("attempt"),
    _text("name", _NAME),
    _text("suffix", _NAME),
    _text("rootname", _NAME),
    _text("sha256", _SHA256),
    Column("size", BigInteger, nullable=False),
    _text("source", Text()),
    UniqueConstraint("attempt_id", "name"),
    Index(None, "rootname"),
    Index(None, "name"),
    Index(None, "sha256"),
)

reference_used = Table(
    "reference_used",
    metadata,
    _key(),
    _refers("attempt"),
    _text("exposure", _NAME),
    _text("keyword", String(32)),
    _text("name", _NAME),
    _text("sha1", _SHA1, nullable=True),
    Column("required", Boolean, nullable=False),
    Column("present", Boolean, nullable=False),
    UniqueConstraint("attempt_id", "exposure", "keyword"),
    Index(None, "name"),
    Index(None, "sha1"),
)

exposure_header = Table(
    "exposure_header",
    metadata,
    _key(),
    _text("dataset", _NAME),
    _text("exposure", _NAME),
    _text("context", _NAME),
    _text("header", Text()),
    _text("recorded_at", _TIME),
    UniqueConstraint("dataset", "exposure", "context"),
    Index(None, "context"),
)

current_run = Table(
    "current_run",
    metadata,
    _key(),
    _text("dataset", _NAME),
    _refers("run"),
    _text("updated_at", _TIME),
    UniqueConstraint("dataset"),
    Index(None, "run_id"),
)

# A name for a choice of what exists. `kind`: chain (an ordered list of runs and chains, in which
# a dataset is looked for in the first that has it), tag (products chosen by hand) or
# calibration (references of the user's own, each valid for a range of dates).
collection = Table(
    "collection",
    metadata,
    _key(),
    _text("name", _NAME),
    _text("kind", String(16)),
    _text("note", Text(), nullable=True),
    _text("created_at", _TIME),
    _text("updated_at", _TIME),
    UniqueConstraint("name"),
)

# One of run_id and child_id is set.
chain_member = Table(
    "chain_member",
    metadata,
    _key(),
    _refers("collection"),
    Column("position", Integer, nullable=False),
    _refers("run", nullable=True),
    Column("child_id", _KEY, ForeignKey("collection.id"), nullable=True),
    UniqueConstraint("collection_id", "position"),
    Index(None, "run_id"),
    Index(None, "child_id"),
)

# A tag holds one product of a dataset under one name; dataset and name repeat the product's,
# so that the database can refuse a second one.
tagged_product = Table(
    "tagged_product",
    metadata,
    _key(),
    _refers("collection"),
    _refers("product"),
    _text("dataset", _NAME),
    _text("name", _NAME),
    UniqueConstraint("collection_id", "dataset", "name"),
    Index(None, "product_id"),
)

# When a reference of the user's own applies, by observing date: from begins_at (included) to
# ends_at (excluded), open where NULL. An empty detector is any. Overlaps are refused in code.
validity = Table(
    "validity",
    metadata,
    _key(),
    _refers("collection"),
    _text("instrument", String(8)),
    _text("detector", String(32)),
    _text("keyword", String(32)),
    _text("reference", _NAME),
    _text("sha1", _SHA1),
    _text("uri", Text()),
    _text("begins_at", _TIME, nullable=True),
    _text("ends_at", _TIME, nullable=True),
    _text("certified_at", _TIME),
    Index(None, "collection_id", "keyword"),
)
