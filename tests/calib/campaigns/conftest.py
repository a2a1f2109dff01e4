"""Ledgers for tests of campaigns."""

from __future__ import annotations

from databases import ledger, template, url

__all__ = ["ledger", "template", "url"]
