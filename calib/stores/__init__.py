"""Places for bytes under keys: a folder, or a bucket of S3.

A store knows nothing of datasets. :mod:`calib.fetch.s3` reads inputs from one,
:mod:`calib.archive.store_output` publishes to one.
"""

from __future__ import annotations

from calib.stores.file_store import FileStore
from calib.stores.s3_store import S3Store
from calib.stores.store import Content, Store, Stored

__all__ = ["Content", "FileStore", "S3Store", "Store", "Stored"]
