#!/bin/sh
# compress.sh FILE PATH OUT ID PASSES: writes the smallest gzip of FILE to OUT/gzip/ID.gz and a
# line with PATH, its size and its level to OUT/compress/ID.tsv.
#
# All nine levels are tried. Each result is unpacked again and compared with FILE, and that PASSES
# times: the same input must give the same bytes every time, else the machine is not to be trusted
# and the job fails. What is not a result stays in the directory that the job was started in.
set -eu
file=$1 path=$2 out=$3 id=$4 passes=$5

mkdir -p "$out/gzip" "$out/compress"
whole=$(sha256sum <"$file")
best_level=0 best_size=0
for level in 1 2 3 4 5 6 7 8 9; do
    gzip -n -c "-$level" <"$file" >"level-$level"
    packed=$(sha256sum <"level-$level")
    pass=1
    while [ "$pass" -le "$passes" ]; do
        gzip -n -c "-$level" <"$file" >again
        if [ "$(sha256sum <again)" != "$packed" ]; then
            echo "level $level gave other bytes in pass $pass" >&2
            exit 1
        fi
        if [ "$(gzip -d -c <again | sha256sum)" != "$whole" ]; then
            echo "level $level did not unpack to the file in pass $pass" >&2
            exit 1
        fi
        pass=$((pass + 1))
    done
    size=$(wc -c <"level-$level")
    if [ "$best_level" -eq 0 ] || [ "$size" -lt "$best_size" ]; then
        best_level=$level best_size=$((size))
    fi
done

cp "level-$best_level" "$out/gzip/.$id.$$"
mv "$out/gzip/.$id.$$" "$out/gzip/$id.gz"
printf '%s\t%s\t%s\n' "$path" "$best_size" "$best_level" >"$out/compress/.$id.$$"
mv "$out/compress/.$id.$$" "$out/compress/$id.tsv"
rm -f again level-*
