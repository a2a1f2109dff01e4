"""The dashboard: what the ledger tells, as web pages; the same pages are the static report."""
