#!/bin/sh
# count.sh FILE PATH OUT ID: writes OUT/count/ID.tsv with PATH and the lines, words and bytes of
# FILE, and OUT/words/ID.txt with its hundred most frequent words.
#
# What is not a result stays in the directory that the job was started in, which is its own.
set -eu
file=$1 path=$2 out=$3 id=$4

mkdir -p "$out/count" "$out/words"
tr -cs 'A-Za-z0-9_' '\n' <"$file" | sort | uniq -c | sort -k 1,1nr -k 2 >words
head -n 100 words >"$out/words/.$id.$$"
mv "$out/words/.$id.$$" "$out/words/$id.txt"

counts=$(wc -l -w -c <"$file")
# Unquoted: wc pads its three numbers with spaces.
set -- $counts
printf '%s\t%s\t%s\t%s\n' "$path" "$1" "$2" "$3" >"$out/count/.$id.$$"
mv "$out/count/.$id.$$" "$out/count/$id.tsv"
