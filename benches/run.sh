#!/usr/bin/env bash
# Every figure of the queue, at every depth and workload, into a directory: runs.jsonl, a line per
# run, and table.md, the same beside the goals. Wants an idle machine, 4 GB and a quarter of an hour for each of RUNS.
#
#   bash benches/run.sh benches/runs/2026-11-30-name [RUNS]    each RUNS times (1); medians are shown
set -euo pipefail
cd "$(dirname "$0")/.."

directory=${1:?usage: bash benches/run.sh DIRECTORY [RUNS]}
n_runs=${2:-1}
mkdir -p "$directory"
lines=$directory/runs.jsonl
: >"$lines"

cargo build --locked --quiet --release --example decide
# A copy, since a build of something else in the same directory would replace it.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
decide=$work/decide
cp "${CARGO_TARGET_DIR:-target}/release/examples/decide" "$decide"

measure() {
  echo "decide $*" >&2
  "$decide" "$@" --json >>"$lines"
}

for _ in $(seq "$n_runs"); do
  for queued in ${QUEUED:-10000 1000000 10000000}; do
    for workload in fixed hetero adversarial indep mixture; do
      measure --queued "$queued" --workload "$workload"
    done
  done
  for queued in ${QUEUED:-10000 1000000 10000000}; do
    for lanes in 800 10000; do
      # Each lane wants an entry, and more for the paused ones.
      [ "$queued" -gt "$lanes" ] || continue
      for workload in fixed hetero adversarial indep mixture; do
        measure --queued "$queued" --workload "$workload" --lanes "$lanes" --no-peers
      done
    done
  done
  measure --queued 1000000 --workload cross
done

{
  echo "# The queue, $(date -u +%F)"
  echo
  echo "Commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown), $(rustc --version)," \
    "$(nproc) cores of $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -1), $(uname -sr)," \
    "load $(cut -d' ' -f1 /proc/loadavg 2>/dev/null || echo unknown). Each $n_runs times:" \
    "\`bash benches/run.sh $directory $n_runs\`."
  echo
  "$decide" --report "$lines"
} >"$directory/table.md"
echo "$directory/table.md"
