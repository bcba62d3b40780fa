#!/usr/bin/env bash
# What the framework makes of a real Mesos cluster, beside a load generator on the same agents with the same
# executor, into a directory: pairs.txt, a line per run, and figures.jsonl, what examples/mesos_rate.rs told. Wants an
# idle machine and ten minutes, and the folder with mesos-up and loadcheck in WEIGHBRIDGE_MESOS.
#
#   bash benches/mesos.sh benches/runs/2026-12-01-name [PAIRS]    so many pairs, one after the other (5)
set -euo pipefail
cd "$(dirname "$0")/.."

directory=${1:?usage: bash benches/mesos.sh DIRECTORY [PAIRS]}
n_pairs=${2:-5}
tool=$(cd "${WEIGHBRIDGE_MESOS:-../shared/tools/mesos}" && pwd)
n_tasks=${TASKS:-3000}
mkdir -p "$directory"
: >"$directory/pairs.txt"
: >"$directory/figures.jsonl"

cargo build --locked --quiet --release --example mesos_rate
work=$(mktemp -d)
down() { "$tool/mesos-down" --work-dir "$work/cluster" >/dev/null 2>&1 || true; }
trap 'down; rm -rf "$work"' EXIT
# A copy, since a build of something else in the same directory would replace it.
rate=$work/mesos_rate
cp "${CARGO_TARGET_DIR:-target}/release/examples/mesos_rate" "$rate"

installed=$(cd "$tool" && PYTHONDONTWRITEBYTECODE=1 python3 -c 'import mesoslab; print(mesoslab.install())')
cat >"$work/executor.json" <<JSON
{"executor_id": "load", "resources": {"cpus": 0.05, "mem": 32},
 "command": {"shell": false, "value": "$installed/libexec/mesos-multi-executor", "arguments": ["mesos-multi-executor"]}}
JSON

first=()
up() {
  down
  rm -rf "$work/cluster"
  master=$("$tool/mesos-up" --port 0 --daemonize --work-dir "$work/cluster" --log-level WARNING "$@" |
    sed -n 's/^MESOS_MASTER=//p')
}

ours() {
  echo "mesos_rate $*" >&2
  "${first[@]}" "$rate" --master "$master" --executor "$work/executor.json" --command instant --store-in "$work" --json "$@"
}

field() { sed -E "s/.*\"$1\":([0-9.]+).*/\1/"; }
median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

# Six agents. One takes four times as long for a task where it has four times as many at once, so both sides have a
# hundred there: loadcheck by its own bound of an offer, ours by what a task asks for. A master and its agents also take
# longer with every task that they ran before, so each run has a cluster that was just started.
each=(--cpus 0.039)
six() { up --agents 6 --resources 'cpus:4;mem:4096;disk:10000'; }

theirs() {
  echo "loadcheck" >&2
  six
  theirs=$("$tool/loadcheck" --master "$master" --tasks "$n_tasks" --executor multi |
    sed -n -E 's/.*: ([0-9]+) tasks\/s.*/\1/p')
}

mine() {
  six
  line=$(ours --tasks "$n_tasks" "${each[@]}")
}

for pair in $(seq "$n_pairs"); do
  if ((pair % 2)); then theirs && mine; else mine && theirs; fi
  echo "$line" >>"$directory/figures.jsonl"
  echo "$theirs $(field tasks_per_s <<<"$line") $(field cpu_ms_per_task <<<"$line")" >>"$directory/pairs.txt"
done
awk '{ print $2 / $1 }' "$directory/pairs.txt" | median | sed 's/^/ratio_of_tasks_per_s_median /'
awk '{ print $3 }' "$directory/pairs.txt" | median | sed 's/^/cpu_ms_per_task_median /'

# A million jobs in the queue; the same where this process goes before the cluster's, as on a machine of its own;
# then two hundred agents.
six
ours --tasks "$n_tasks" --queued 1000000 "${each[@]}" | tee -a "$directory/figures.jsonl"
six
first=(nice -n -15)
ours --tasks "$n_tasks" --queued 1000000 "${each[@]}" | tee -a "$directory/figures.jsonl"
first=()
up --local-agents 200 --resources 'cpus:4;mem:4096;disk:10000'
ours --tasks "$n_tasks" --queued 1000000 "${each[@]}" | tee -a "$directory/figures.jsonl"
