"""Publications, data ids, members, tombstones and collections.

Revision: 0002, after 0001. Products are moved under the publication that they came with. The
tables for chains, tags and validity of 0001 were never written to: they are made anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only in columns declared INTEGER.
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# The folder of a publication is what stands before the name of any of its files.
FILL_PUBLICATION = """
INSERT INTO publication (run_id, attempt_id, dataset, uri, transfer, published_at)
SELECT run_id, MAX(attempt_id), dataset,
  MIN(substr(uri, 1, length(uri) - length(name) - 1)), 'copy', MIN(created_at)
FROM product GROUP BY run_id, dataset ORDER BY MIN(id)
"""

# A file of an exposure begins with its nine characters; previews lie in a folder.
KEEP_PRODUCTS = """
CREATE TABLE moved_product AS
SELECT product.id AS id, publication.id AS publication_id, product.name AS name,
  CASE WHEN product.name LIKE 'previews/%' THEN 'preview'
       WHEN product.name LIKE 'logs/%' THEN 'log'
       WHEN product.name LIKE 'env/%' THEN 'env'
       ELSE substr(product.suffix, 1, 32) END AS type,
  CASE WHEN product.name LIKE 'logs/%' OR product.name LIKE 'env/%' THEN product.dataset
       WHEN product.name LIKE 'previews/%' AND substr(product.name, 19, 1) IN ('_', '.')
       THEN substr(product.name, 10, 9)
       WHEN substr(product.name, 10, 1) IN ('_', '.') THEN substr(product.name, 1, 9)
       ELSE product.dataset END AS rootname,
  product.sha256 AS sha256, product.size AS size
FROM product JOIN publication
  ON publication.run_id = product.run_id AND publication.dataset = product.dataset
"""
FILL_PRODUCT = """
INSERT INTO product (publication_id, name, type, rootname, sha256, size)
SELECT publication_id, name, type, rootname, sha256, size FROM moved_product ORDER BY id
"""


def upgrade() -> None:
    """Move the products, then make what is new."""
    kind = sa.Column("kind", sa.String(16), server_default="processed", nullable=False)
    op.add_column("run", kind)
    op.drop_table("tag")
    _create_publication()
    op.execute(FILL_PUBLICATION)
    op.execute(KEEP_PRODUCTS)
    op.drop_table("product")
    _create_product()
    op.execute(FILL_PRODUCT)
    op.drop_table("moved_product")
    _create_tombstone()
    _create_data_id()
    _create_member()
    _create_collections()
    _index_lineage()


def _key() -> sa.Column[int]:
    return sa.Column("id", KEY, nullable=False)


def _refers(column: str, target: str, table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=f"fk_{table}_{column}_{target}")


def _create_publication() -> None:
    op.create_table(
        "publication",
        _key(),
        sa.Column("run_id", KEY, nullable=False),
        sa.Column("attempt_id", KEY, nullable=True),
        sa.Column("dataset", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=True),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("manifest_sha256", sa.String(64), nullable=True),
        sa.Column("transfer", sa.String(8), server_default="copy", nullable=False),
        sa.Column("published_at", sa.String(32), nullable=False),
        sa.Column("removed_at", sa.String(32), nullable=True),
        _refers("attempt_id", "attempt", "publication"),
        _refers("run_id", "run", "publication"),
        sa.PrimaryKeyConstraint("id", name="pk_publication"),
        sa.UniqueConstraint("run_id", "dataset", name="uq_publication_run_id_dataset"),
    )
    op.create_index("ix_publication_attempt_id", "publication", ["attempt_id"])
    op.create_index("ix_publication_dataset", "publication", ["dataset"])


def _create_product() -> None:
    op.create_table(
        "product",
        _key(),
        sa.Column("publication_id", KEY, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("rootname", sa.String(255), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=True),
        _refers("publication_id", "publication", "product"),
        sa.PrimaryKeyConstraint("id", name="pk_product"),
        sa.UniqueConstraint("publication_id", "name", name="uq_product_publication_id_name"),
    )
    op.create_index("ix_product_name", "product", ["name"])
    op.create_index("ix_product_rootname", "product", ["rootname"])
    op.create_index("ix_product_sha256", "product", ["sha256"])
    op.create_index("ix_product_type", "product", ["type"])


def _create_tombstone() -> None:
    op.create_table(
        "tombstone",
        _key(),
        sa.Column("publication_id", KEY, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("last_run", sa.String(255), nullable=False),
        _refers("publication_id", "publication", "tombstone"),
        sa.PrimaryKeyConstraint("id", name="pk_tombstone"),
        sa.UniqueConstraint("publication_id", "name", name="uq_tombstone_publication_id_name"),
    )


def _create_data_id() -> None:
    op.create_table(
        "data_id",
        _key(),
        sa.Column("rootname", sa.String(255), nullable=False),
        sa.Column("instrument", sa.String(8), nullable=False),
        sa.Column("detector", sa.String(32), nullable=True),
        sa.Column("filter", sa.String(255), nullable=True),
        sa.Column("program", sa.String(8), nullable=False),
        sa.Column("visit", sa.String(8), nullable=False),
        sa.Column("proposal", sa.Integer(), nullable=True),
        sa.Column("target", sa.String(255), nullable=True),
        sa.Column("observed_at", sa.String(32), nullable=True),
        sa.Column("exptime", sa.Float(53), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_data_id"),
        sa.UniqueConstraint("rootname", name="uq_data_id_rootname"),
    )
    columns = ["instrument", "detector", "filter"]
    op.create_index("ix_data_id_instrument_detector_filter", "data_id", columns)
    op.create_index("ix_data_id_observed_at", "data_id", ["observed_at"])
    op.create_index("ix_data_id_program_visit", "data_id", ["program", "visit"])
    op.create_index("ix_data_id_proposal", "data_id", ["proposal"])


def _create_member() -> None:
    op.create_table(
        "member",
        _key(),
        sa.Column("association", sa.String(255), nullable=False),
        sa.Column("rootname", sa.String(255), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_member"),
        sa.UniqueConstraint("association", "rootname", name="uq_member_association_rootname"),
    )
    op.create_index("ix_member_rootname", "member", ["rootname"])


def _create_collections() -> None:
    op.create_table(
        "collection",
        _key(),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_collection"),
        sa.UniqueConstraint("name", name="uq_collection_name"),
    )
    _create_chain_member()
    _create_tagged_product()
    _create_validity()


def _create_chain_member() -> None:
    op.drop_table("chain")
    op.create_table(
        "chain_member",
        _key(),
        sa.Column("collection_id", KEY, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("run_id", KEY, nullable=True),
        sa.Column("child_id", KEY, nullable=True),
        _refers("child_id", "collection", "chain_member"),
        _refers("collection_id", "collection", "chain_member"),
        _refers("run_id", "run", "chain_member"),
        sa.PrimaryKeyConstraint("id", name="pk_chain_member"),
        sa.UniqueConstraint(
            "collection_id", "position", name="uq_chain_member_collection_id_position"
        ),
    )
    op.create_index("ix_chain_member_child_id", "chain_member", ["child_id"])
    op.create_index("ix_chain_member_run_id", "chain_member", ["run_id"])


def _create_tagged_product() -> None:
    op.create_table(
        "tagged_product",
        _key(),
        sa.Column("collection_id", KEY, nullable=False),
        sa.Column("product_id", KEY, nullable=False),
        sa.Column("dataset", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        _refers("collection_id", "collection", "tagged_product"),
        _refers("product_id", "product", "tagged_product"),
        sa.PrimaryKeyConstraint("id", name="pk_tagged_product"),
        sa.UniqueConstraint(
            "collection_id", "dataset", "name", name="uq_tagged_product_collection_id_dataset_name"
        ),
    )
    op.create_index("ix_tagged_product_product_id", "tagged_product", ["product_id"])


def _create_validity() -> None:
    op.drop_table("validity")
    op.create_table(
        "validity",
        _key(),
        sa.Column("collection_id", KEY, nullable=False),
        sa.Column("instrument", sa.String(8), nullable=False),
        sa.Column("detector", sa.String(32), nullable=False),
        sa.Column("keyword", sa.String(32), nullable=False),
        sa.Column("reference", sa.String(255), nullable=False),
        sa.Column("sha1", sa.String(40), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("begins_at", sa.String(32), nullable=True),
        sa.Column("ends_at", sa.String(32), nullable=True),
        sa.Column("certified_at", sa.String(32), nullable=False),
        _refers("collection_id", "collection", "validity"),
        sa.PrimaryKeyConstraint("id", name="pk_validity"),
    )
    op.create_index("ix_validity_collection_id_keyword", "validity", ["collection_id", "keyword"])


def _index_lineage() -> None:
    op.create_index("ix_input_used_name", "input_used", ["name"])
    op.create_index("ix_input_used_sha256", "input_used", ["sha256"])
    op.create_index("ix_reference_used_sha1", "reference_used", ["sha1"])
    op.create_index("ix_current_run_run_id", "current_run", ["run_id"])
