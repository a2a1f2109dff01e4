#!/bin/sh
# Try an image as a user would: try-image.sh IMAGE [docker|podman]. Needs no network: the demo
# brings its own archive. Whoever calls owns what comes out.
set -eu
image=$1
engine=${2:-docker}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
call() {
    "$engine" run --rm --network none --read-only --tmpfs /tmp --tmpfs /home/hstflow:mode=1777 \
        --tmpfs /cache:mode=1777,exec --user "$(id -u):$(id -g)" --volume "$folder:/data" "$@"
}
call "$image" --version
call "$image" doctor
call "$image" demo demo
products=$(find "$folder/demo/archive" -name '*_flt.fits' -user "$(id -u)" | wc -l)
test "$products" -gt 0
test "$("$engine" inspect --format '{{.Config.User}}' "$image")" = 10001:10001
# SIGTERM reaches a program of the image, which ends in order.
name=hstflow-trial-$$
"$engine" run --detach --rm --name "$name" "$image" up --only dashboard > /dev/null
"$engine" stop --time 20 "$name" > /dev/null
echo "$image: $products products, owned by $(id -un)"
