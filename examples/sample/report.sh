#!/bin/sh
# report.sh OUT: joins what the other jobs wrote to OUT/report.tsv, a line per file in order of the
# paths: path, SHA-256, lines, words, bytes, bytes of the smallest gzip, its level. The last line
# holds the sums. What is not a result stays in the directory that the job was started in.
set -eu
out=$1
tab=$(printf '\t')

for kind in checksum count compress; do
    for line in "$out/$kind"/*.tsv; do
        cat "$line"
    done | sort -t "$tab" -k 1,1 >"$kind"
done

join -t "$tab" checksum count | join -t "$tab" - compress >report
for kind in checksum count compress; do
    if [ "$(wc -l <"$kind")" -ne "$(wc -l <report)" ]; then
        echo "$out/$kind holds other files than the rest; empty $out and run again" >&2
        exit 1
    fi
done

files=0 lines=0 words=0 bytes=0 packed=0
while IFS=$tab read -r _ _ l w b p _; do
    files=$((files + 1)) lines=$((lines + l)) words=$((words + w)) bytes=$((bytes + b)) packed=$((packed + p))
done <report
printf 'total of %s files\t-\t%s\t%s\t%s\t%s\t-\n' "$files" "$lines" "$words" "$bytes" "$packed" >>report

cp report "$out/.report.$$"
mv "$out/.report.$$" "$out/report.tsv"
tail -n 1 "$out/report.tsv"
