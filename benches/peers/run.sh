#!/usr/bin/env bash
# Runs a command beside the queues that `examples/durable.rs` is measured against.
#
#   bash benches/peers/run.sh [--dir DIR] -- COMMAND [WORD...]
#   bash benches/peers/run.sh -- cargo run --release --example durable -- --json
#
# beanstalkd, redis-server and postgresql are installed as Debian packages where they are missing
# (root and apt-get; their services are not started), then started on 127.0.0.1, each on a free port
# and in a directory of its own below DIR. What is acknowledged is on disk, as with us:
#
#   beanstalkd   -b DIR -f 0                       every write of the binlog is synced
#   redis        appendonly yes, appendfsync always, no snapshots, no rewrites
#   postgresql   fsync, synchronous_commit on; its own unprivileged user; room in shared_buffers and
#                max_wal_size, so that its checkpoints stay out of the way
#
# The command finds them in its environment:
#
#   WEIGHBRIDGE_PEER_BEANSTALKD, WEIGHBRIDGE_PEER_REDIS, WEIGHBRIDGE_PEER_POSTGRES   127.0.0.1:PORT
#   WEIGHBRIDGE_PEERS_DIR    where their files are; they must be on the file system of ours
#
# DIR is a new directory below the cargo target directory unless named; what is made in it is removed
# at the end. However the command ends, exactly the processes started here are stopped, by their ids.
#
# Exit code: the command's; 2 for a wrong call; 3 when something cannot be installed; 4 when a server
# does not start. WEIGHBRIDGE_PEERS_SKIP="redis postgres" leaves some out.
set -euo pipefail

say() { echo "peers: $*" >&2; }
usage() { sed -n '2,/^set -/{/^#/{s/^# \{0,1\}//;p}}' "${BASH_SOURCE[0]}"; }

parent=
while [ $# -gt 0 ]; do
  case $1 in
    --dir)
      [ $# -ge 2 ] || { say "--dir needs a directory"; exit 2; }
      parent=$2
      shift 2
      ;;
    --help | -h) usage; exit 0 ;;
    --) shift; break ;;
    *) say "no option \"$1\"; --help lists them, and the command stands after --"; exit 2 ;;
  esac
done
[ $# -gt 0 ] || { say "no command after --; see --help"; exit 2; }

is_wanted() { case " ${WEIGHBRIDGE_PEERS_SKIP:-} " in *" $1 "*) return 1 ;; *) return 0 ;; esac; }

# The newest PostgreSQL that is there; its programs are not on PATH in Debian.
find_postgres() { ls -d /usr/lib/postgresql/*/bin/postgres 2>/dev/null | sort -V | tail -1; }

is_there() {
  case $1 in
    beanstalkd) command -v beanstalkd >/dev/null ;;
    redis) command -v redis-server >/dev/null ;;
    postgres) [ -n "$(find_postgres)" ] && getent passwd postgres >/dev/null ;;
  esac
}

package_of() {
  case $1 in beanstalkd) echo beanstalkd ;; redis) echo redis-server ;; postgres) echo postgresql ;; esac
}

install_missing() {
  local peer missing=()
  for peer in beanstalkd redis postgres; do
    is_wanted "$peer" && ! is_there "$peer" && missing+=("$(package_of "$peer")")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || { say "cannot install ${missing[*]}: no apt-get here"; exit 3; }
  [ "$(id -u)" = 0 ] || { say "cannot install ${missing[*]}: needs root; or install them yourself"; exit 3; }
  say "installing ${missing[*]}"
  # Packages start their services unless this file says no.
  local policy=/usr/sbin/policy-rc.d made_policy=
  if [ ! -e $policy ]; then
    made_policy=1
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
  fi
  local log status=0
  log=$(mktemp)
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } \
    >"$log" 2>&1 </dev/null || status=$?
  [ -z "$made_policy" ] || rm -f $policy
  if [ $status -ne 0 ]; then
    tail -5 "$log" >&2
    rm -f "$log"
    say "cannot install ${missing[*]}: apt-get failed (its last words are above)"
    exit 3
  fi
  rm -f "$log"
}

install_missing
[ -n "$parent" ] || parent=${CARGO_TARGET_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/target}
mkdir -p "$parent"
work=$(mktemp -d "$(cd "$parent" && pwd)/peers-XXXXXX")
# PostgreSQL's user has to get through to its own directory.
chmod 755 "$work"

pids=()
postgres_pid=
command_pid=
stop_all() {
  local status=$? pid
  trap - EXIT INT TERM HUP
  if [ -n "$command_pid" ]; then
    kill -TERM "$command_pid" 2>/dev/null || true
    wait "$command_pid" 2>/dev/null || true
  fi
  for pid in ${pids[@]+"${pids[@]}"}; do
    kill -TERM "$pid" 2>/dev/null || true
  done
  # PostgreSQL takes that as "when all clients have gone"; this is "now".
  [ -z "$postgres_pid" ] || kill -INT "$postgres_pid" 2>/dev/null || true
  for pid in ${pids[@]+"${pids[@]}"}; do
    for _ in $(seq 100); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
  exit "$status"
}
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Below the ports that the system gives out by itself.
free_port() {
  local port
  for _ in $(seq 100); do
    port=$((20000 + RANDOM % 10000))
    is_open "$port" || { echo "$port"; return 0; }
  done
  say "no free port on 127.0.0.1"
  return 1
}

# start NAME VARIABLE COMMAND...: the word PORT in the command becomes a free port. Whoever took the
# port meanwhile makes the server end, and another one is tried.
start() {
  local name=$1 variable=$2 port pid
  shift 2
  for _ in 1 2 3 4 5; do
    port=$(free_port)
    # In a process group of its own: an interrupt at the terminal is for the command first.
    setsid "${@//PORT/$port}" >"$work/$name.log" 2>&1 </dev/null &
    pid=$!
    for _ in $(seq 300); do
      kill -0 "$pid" 2>/dev/null || break
      if is_open "$port"; then
        pids+=("$pid")
        export "$variable=127.0.0.1:$port"
        say "$name on 127.0.0.1:$port, process $pid"
        return 0
      fi
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  tail -5 "$work/$name.log" >&2
  say "$name does not start (its last words are above)"
  exit 4
}

if is_wanted beanstalkd; then
  mkdir "$work/beanstalkd"
  start beanstalkd WEIGHBRIDGE_PEER_BEANSTALKD \
    beanstalkd -l 127.0.0.1 -p PORT -b "$work/beanstalkd" -f 0
fi

if is_wanted redis; then
  mkdir "$work/redis"
  start redis WEIGHBRIDGE_PEER_REDIS \
    redis-server --bind 127.0.0.1 --port PORT --dir "$work/redis" --daemonize no \
    --appendonly yes --appendfsync always --auto-aof-rewrite-percentage 0 --save ""
fi

if is_wanted postgres; then
  postgres=$(find_postgres)
  mkdir "$work/postgres"
  as_postgres=()
  if [ "$(id -u)" = 0 ]; then
    chown postgres "$work/postgres"
    as_postgres=(setpriv --reuid=postgres --regid="$(id -g postgres)" --init-groups --)
    "${as_postgres[@]}" test -w "$work/postgres" \
      || { say "the user postgres does not get through to $work/postgres; name another place with --dir"; exit 4; }
  fi
  (
    # initdb wants a directory it may be in.
    cd "$work/postgres"
    ${as_postgres[@]+"${as_postgres[@]}"} "${postgres%/*}/initdb" -D "$work/postgres/data" -U postgres \
      -A trust -E UTF8 --locale=C
  ) >"$work/initdb.log" 2>&1 || { tail -5 "$work/initdb.log" >&2; say "initdb failed"; exit 4; }
  start postgres WEIGHBRIDGE_PEER_POSTGRES \
    ${as_postgres[@]+"${as_postgres[@]}"} "$postgres" -D "$work/postgres/data" -p PORT \
    -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=on -c synchronous_commit=on \
    -c shared_buffers=512MB -c max_wal_size=8GB -c max_connections=50
  postgres_pid=${pids[-1]}
fi

export WEIGHBRIDGE_PEERS_DIR=$work
# In the background, since a trap waits for what stands in front.
"$@" <&0 &
command_pid=$!
status=0
wait "$command_pid" || status=$?
command_pid=
exit "$status"
