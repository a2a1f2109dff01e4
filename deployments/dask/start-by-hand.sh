#!/bin/sh
# A scheduler on this host and workers wherever this is run again, without a batch system:
#   start-by-hand.sh scheduler                        on one host, then on each host
#   start-by-hand.sh worker tcp://HOST:8786 8 128 400   8 workers that share 128 GB and 400 GB of disk
#   hstflow campaign submit NAME @list.txt ... --runner tcp://HOST:8786
# Dask asks nobody for a password: keep it on a private network, or give it TLS (dask.org, Security).
set -eu
here=$(dirname "$0")
set -a
. "${HSTFLOW_PROFILE_ENV:-$here/../profiles/worker.env}"
set +a
case "${1:-}" in
scheduler)
    # A dead worker is reported at once: the campaign gives the job more memory, and tries again.
    export DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0
    exec dask scheduler --port 8786
    ;;
worker)
    address=$2 workers=$3 memory=$4 disk=$5
    # One thread each: a dataset at a time. The numbers are shares: Dask adds up what runs on a worker.
    exec dask worker "$address" --nworkers "$workers" --nthreads 1 \
        --resources "MEM_GB=$((memory / workers)) DISK_GB=$((disk / workers))" \
        --memory-limit "$((memory / workers))GB" --preload flows.worker_setup
    ;;
*)
    echo "usage: $0 scheduler | worker ADDRESS WORKERS MEMORY_GB DISK_GB" >&2
    exit 2
    ;;
esac
