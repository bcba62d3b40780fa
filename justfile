# The everyday commands. What CI needs is in .ci as plain scripts, so that it runs without just.
set shell := ["bash", "-euo", "pipefail", "-c"]

# Lists the recipes.
default:
    @just --list --unsorted

# Before every commit.
check:
    cargo fmt --all --check
    cargo clippy --all-targets --all-features -- -D warnings
    cargo test --all-features --all-targets
    cargo test --all-features --doc

# The tests, or those whose names hold a word.
test *words:
    cargo test {{ words }}

# Stores what the commands answer now in the sessions of tests/transcript; read the diff.
bless:
    WEIGHBRIDGE_BLESS=1 cargo test --test transcript

# The documentation; a warning is an error.
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features

# The crate without features, then with each alone.
features:
    bash .ci/features

# Our own atomics under loom.
loom:
    bash .ci/loom

# Licences, duplicates and sources of the dependencies; needs cargo-deny.
deny:
    cargo deny check licenses bans sources

# Everything CI does.
ci:
    bash .ci/run

# Seconds, crates, bytes and start-up of a build from clean, in a directory of its own.
build-cost:
    bash .ci/build-cost

# Instructions of each operation of the queue against the stored ones; needs valgrind.
counts *options:
    bash .ci/instructions {{ options }}

# Every figure of the queue at every depth and workload, into a directory; wants an idle machine.
measure directory:
    bash benches/run.sh {{ directory }}

# What is too long for CI: the daemon killed at that many random points, a cluster of which everything fails, every crash, that many operations on a queue, threads, simulation.
proof cycles="300" operations="1000000000": sanitize sim
    WEIGHBRIDGE_KILL_CYCLES={{ cycles }} cargo test --release --test torture -- --nocapture
    WEIGHBRIDGE_KILL_CYCLES={{ cycles }} cargo test --release --test kill9 -- --nocapture
    WEIGHBRIDGE_CRASH_DEEP=1 cargo test --release --lib crash -- --nocapture
    WEIGHBRIDGE_MESOS_TASKS=1000 cargo test --release --test mesos chaos:: -- --nocapture
    cargo run --release --example soak -- {{ operations }}

# The simulation: so many seeds from the first on; `just sim 1 7342` runs one that failed.
sim seeds="20000" first="0":
    WEIGHBRIDGE_SIM_SEEDS={{ seeds }} WEIGHBRIDGE_SIM_SEED={{ first }} cargo test --lib sim::what_always -- --nocapture

# A fuzz target of fuzz/ for that many seconds; what it finds interesting goes to fuzz/found. Needs cargo-fuzz and a nightly.
fuzz target="steps" seconds="60" *options="-max_len=768":
    mkdir -p fuzz/found/{{ target }}
    cargo +nightly fuzz run --sanitizer=none {{ target }} fuzz/found/{{ target }} fuzz/corpus/{{ target }} -- -max_total_time={{ seconds }} {{ options }}

# The threads test under ThreadSanitizer; needs a nightly. Any report fails it.
sanitize:
    TSAN_OPTIONS="suppressions=$PWD/.ci/tsan.supp" CARGO_TARGET_DIR=target/sanitize \
        RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" \
        cargo +nightly test --no-default-features --target x86_64-unknown-linux-gnu --test threads
