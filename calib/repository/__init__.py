"""The archive and its registry as one: what is published, and the rows that say so."""
