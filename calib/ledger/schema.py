"""The tables of the ledger (SQLAlchemy core), in portable types.

Times are ISO 8601 text in UTC with microseconds: they sort as text, read the same from SQLite
and PostgreSQL, and need no driver to interpret. JSON is text with sorted keys, so that equal
content compares equal.

Two halves meet at ``attempt``: *jobs* say what happened (campaign, campaign_session, job, attempt,
stage_run, transition) and what it cost (stage_run, feature, prediction): they are in
:mod:`calib.ledger.job_tables`; what is to be done again on a new context, and what was decided
about it, is in :mod:`calib.ledger.reprocessing_tables`. The *registry* says what exists (run,
publication, product, tombstone, data_id, member, input_used, reference_used, exposure_header,
current_run) and how it is gathered (collection, with chain_member, tagged_product or validity).
What an attempt read hangs on the attempt, not on the run: a second attempt never rewrites what
the first one used, and a publication names the attempt that made it.

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
    String,
    Table,
    Text,
    UniqueConstraint,
)

from calib.ledger.columns import KEY, NAME, SHA1, SHA256, TIME, key, metadata, refers, text_column
from calib.ledger.job_tables import (
    attempt,
    campaign,
    campaign_session,
    feature,
    job,
    prediction,
    stage_run,
    transition,
)
from calib.ledger.reprocessing_tables import (
    context_seen,
    marked_dataset,
    reprocessing,
    reprocessing_step,
)
from calib.ledger.verification_table import verification

__all__ = [
    "attempt",
    "campaign",
    "campaign_session",
    "chain_member",
    "collection",
    "context_seen",
    "current_run",
    "data_id",
    "exposure_header",
    "feature",
    "input_used",
    "job",
    "marked_dataset",
    "member",
    "metadata",
    "prediction",
    "product",
    "publication",
    "reference_used",
    "reprocessing",
    "reprocessing_step",
    "run",
    "stage_run",
    "tagged_product",
    "tombstone",
    "transition",
    "validity",
    "verification",
]

# A write-once collection of publications. `kind`: processed (by us) or ingested (made elsewhere).
run = Table(
    "run",
    metadata,
    key(),
    text_column("name", NAME),
    Column("kind", String(16), nullable=False, server_default="processed"),
    text_column("context", NAME),
    text_column("engine", NAME),
    text_column("engine_version", NAME),
    text_column("parameters", Text()),
    text_column("output", Text()),
    text_column("created_at", TIME),
    UniqueConstraint("name"),
)

# A dataset in a run: everything that was published at once. `transfer` says whose the bytes
# are: ours (copy, link) or another's (in-place). A pruned publication keeps its rows, with the
# time of its removal, so that lineage does not break.
publication = Table(
    "publication",
    metadata,
    key(),
    refers("run"),
    refers("attempt", nullable=True),
    text_column("dataset", NAME),
    text_column("fingerprint", SHA256, nullable=True),
    text_column("uri", Text()),
    text_column("manifest_sha256", SHA256, nullable=True),
    Column("transfer", String(8), nullable=False, server_default="copy"),
    text_column("published_at", TIME),
    text_column("removed_at", TIME, nullable=True),
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
    key(),
    refers("publication"),
    text_column("name", NAME),
    text_column("type", String(32)),
    text_column("rootname", NAME),
    text_column("sha256", SHA256, nullable=True),
    Column("size", BigInteger, nullable=False),
    text_column("uri", Text(), nullable=True),
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
    key(),
    refers("publication"),
    text_column("name", NAME),
    text_column("last_run", NAME),
    UniqueConstraint("publication_id", "name"),
)

# What an exposure or association shows, by name: the words that products are asked for by.
data_id = Table(
    "data_id",
    metadata,
    key(),
    text_column("rootname", NAME),
    text_column("instrument", String(8)),
    text_column("detector", String(32), nullable=True),
    text_column("filter", NAME, nullable=True),
    text_column("program", String(8)),
    text_column("visit", String(8)),
    Column("proposal", Integer, nullable=True),
    text_column("target", NAME, nullable=True),
    text_column("observed_at", TIME, nullable=True),
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
    key(),
    text_column("association", NAME),
    text_column("rootname", NAME),
    text_column("type", String(32)),
    Column("present", Boolean, nullable=False),
    UniqueConstraint("association", "rootname"),
    Index(None, "rootname"),
)

input_used = Table(
    "input_used",
    metadata,
    key(),
    refers("attempt"),
    text_column("name", NAME),
    text_column("suffix", NAME),
    text_column("rootname", NAME),
    text_column("sha256", SHA256),
    Column("size", BigInteger, nullable=False),
    text_column("source", Text()),
    UniqueConstraint("attempt_id", "name"),
    Index(None, "rootname"),
    Index(None, "name"),
    Index(None, "sha256"),
)

reference_used = Table(
    "reference_used",
    metadata,
    key(),
    refers("attempt"),
    text_column("exposure", NAME),
    text_column("keyword", String(32)),
    text_column("name", NAME),
    text_column("sha1", SHA1, nullable=True),
    Column("required", Boolean, nullable=False),
    Column("present", Boolean, nullable=False),
    UniqueConstraint("attempt_id", "exposure", "keyword"),
    Index(None, "name"),
    Index(None, "sha1"),
)

exposure_header = Table(
    "exposure_header",
    metadata,
    key(),
    text_column("dataset", NAME),
    text_column("exposure", NAME),
    text_column("context", NAME),
    text_column("header", Text()),
    text_column("recorded_at", TIME),
    UniqueConstraint("dataset", "exposure", "context"),
    Index(None, "context"),
)

current_run = Table(
    "current_run",
    metadata,
    key(),
    text_column("dataset", NAME),
    refers("run"),
    text_column("updated_at", TIME),
    UniqueConstraint("dataset"),
    Index(None, "run_id"),
)

# A name for a choice of what exists. `kind`: chain (an ordered list of runs and chains, in which
# a dataset is looked for in the first that has it), tag (products chosen by hand) or
# calibration (references of the user's own, each valid for a range of dates).
collection = Table(
    "collection",
    metadata,
    key(),
    text_column("name", NAME),
    text_column("kind", String(16)),
    text_column("note", Text(), nullable=True),
    text_column("created_at", TIME),
    text_column("updated_at", TIME),
    UniqueConstraint("name"),
)

# One of run_id and child_id is set.
chain_member = Table(
    "chain_member",
    metadata,
    key(),
    refers("collection"),
    Column("position", Integer, nullable=False),
    refers("run", nullable=True),
    Column("child_id", KEY, ForeignKey("collection.id"), nullable=True),
    UniqueConstraint("collection_id", "position"),
    Index(None, "run_id"),
    Index(None, "child_id"),
)

# A tag holds one product of a dataset under one name; dataset and name repeat the product's,
# so that the database can refuse a second one.
tagged_product = Table(
    "tagged_product",
    metadata,
    key(),
    refers("collection"),
    refers("product"),
    text_column("dataset", NAME),
    text_column("name", NAME),
    UniqueConstraint("collection_id", "dataset", "name"),
    Index(None, "product_id"),
)

# When a reference of the user's own applies, by observing date: from begins_at (included) to
# ends_at (excluded), open where NULL. An empty detector is any. Overlaps are refused in code.
validity = Table(
    "validity",
    metadata,
    key(),
    refers("collection"),
    text_column("instrument", String(8)),
    text_column("detector", String(32)),
    text_column("keyword", String(32)),
    text_column("reference", NAME),
    text_column("sha1", SHA1),
    text_column("uri", Text()),
    text_column("begins_at", TIME, nullable=True),
    text_column("ends_at", TIME, nullable=True),
    text_column("certified_at", TIME),
    Index(None, "collection_id", "keyword"),
)
