"""Alembic migrations of the ledger, run by :mod:`calib.ledger.store`.

To change the schema: edit ``schema.py`` and ``revision.py``, add ``versions/NNNN_words.py``
with the next number. A test compares the migrated database with the tables of ``schema.py``.
SQLite cannot alter most things in place: use ``op.batch_alter_table``.
"""
