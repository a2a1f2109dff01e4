"""Bytes: layout, manifest, atomic publication, verification.

::

    OUTPUT/runs/RUN/INSTRUMENT/ID/          written once: products at the top
                                  logs/  previews/  env/  manifest.json
    OUTPUT/runs/RUN/.staging/               work in progress, one folder per publisher
    OUTPUT/data/INSTRUMENT/ID               the current version: a relative link

`layout`, `manifest`, `fingerprint` and `provenance` know nothing of where bytes lie; `disk`,
`staging`, `pointer`, `holdings`, `verification` and `publish` are for a file system: another
kind of store has its own of these, and shares the rest.
"""
