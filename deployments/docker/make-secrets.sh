#!/bin/sh
# Make the password of the databases, once: files beside this script that your user alone reads.
# compose.yaml hands them to the services, which have to run as you: it writes .env with your
# numbers, unless there is one. The password is never shown.
set -eu
cd "$(dirname "$0")"
umask 077
if [ -e secrets/pgpass ]; then
    echo "there is a password already: $PWD/secrets" >&2
    exit 1
fi
mkdir -p secrets
password=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
printf '%s' "$password" > secrets/postgres_password
printf 'postgres:5432:*:hstflow:%s\n' "$password" > secrets/pgpass
cd ../..
mkdir -p data
if [ ! -e .env ]; then
    printf 'HSTFLOW_UID=%s\nHSTFLOW_GID=%s\n' "$(id -u)" "$(id -g)" > .env
fi
