"""Bytes: layout, manifest, atomic publication, verification.

::

    OUTPUT/runs/RUN/INSTRUMENT/ID/          written once: products at the top
                                  logs/  previews/  env/  manifest.json
    OUTPUT/data/INSTRUMENT/ID               the current version: a relative link
    OUTPUT/outputs/ID/                      the current version as CALDP's tar, on request
    OUTPUT/messages/                        one file or folder per state, where asked for
    .staging/                               in a run, in outputs/ and in messages/: work in
                                            progress, one folder per publisher

In a bucket, which has no folders, links or renames::

    runs/RUN/INSTRUMENT/ID/                 as above; manifest.json is put last
    runs/RUN/.claims/INSTRUMENT/ID.json     while somebody writes there
    data/INSTRUMENT/ID/current.json         names the run of the current version
    outputs/ID/                             as above

For both: `holdings`, `manifest`, `fingerprint`, `provenance`, `tombstones`, `caldp_tar`,
`tar_output`, `at_once`; of `layout`, `publish`, `survey`, `verification` and `removal` the names,
records and rules. For a folder: `disk`, `staging`, `pointer`, `file_holdings`, `messages`. For a
bucket: `claim`, `store_holdings`, `store_output`, `store_survey`. `outputs` opens either.
"""
