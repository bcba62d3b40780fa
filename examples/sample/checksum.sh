#!/bin/sh
# checksum.sh FILE PATH OUT ID: writes OUT/checksum/ID.tsv with PATH and the SHA-256 of FILE.
#
# The result appears under its name in one step, so a job that is run again after a crash never
# leaves half a line behind.
set -eu
file=$1 path=$2 out=$3/checksum id=$4

mkdir -p "$out"
sum=$(sha256sum <"$file")
printf '%s\t%s\n' "$path" "${sum%% *}" >"$out/.$id.$$"
mv "$out/.$id.$$" "$out/$id.tsv"
