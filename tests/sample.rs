//! The sample workload, run by the binary: it ends well, and its results are those of `sha256sum`
//! and `wc` for every file.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::Place;

/// Hundreds of processes, on a machine that may be busy with other tests.
const SAMPLE_PATIENCE: Duration = Duration::from_mins(10);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What `program` prints for a file, cut at blanks.
fn words_of(program: &str, args: &[&str], file: &Path) -> Vec<String> {
    let output =
        Command::new(program).args(args).arg(file).env("LC_ALL", "C").output().expect("it is installed");
    assert!(output.status.success(), "{program} {}: {output:?}", file.display());
    let text = String::from_utf8(output.stdout).expect("text");
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_sample_runs_to_its_end_and_its_results_are_right() {
    let place = Place::new();
    let workload = root().join("examples/sample.json");
    let store = place.path("store");
    let args = ["run", workload.to_str().expect("text"), "--store", store.to_str().expect("text")];
    let process = place.start(&[&args[..], &["--no-progress", "--output", "json"]].concat());
    let ended = process.wait_for(SAMPLE_PATIENCE).expect(0);
    let summary = ended.json();
    let report = place.read("store/out/report.tsv");
    let mut rows: Vec<Vec<&str>> = report.lines().map(|line| line.split('\t').collect()).collect();
    let total = rows.pop().expect("a line with the sums");
    assert_eq!(total[0], format!("total of {} files", rows.len()));
    assert!(rows.len() > 100, "the repository has more files than {}", rows.len());
    assert_eq!(summary["totals"]["done"], 3 * rows.len() + 1, "three jobs per file, and the report");
    for row in rows {
        let [path, sum, lines, words, bytes, packed, _level] = row[..] else {
            panic!("seven columns: {row:?}")
        };
        // Paths are relative to the workload's folder.
        let file = root().join("examples").join(path);
        assert_eq!(words_of("sha256sum", &[], &file)[0], sum, "{path}");
        assert_eq!(words_of("wc", &["-l", "-w", "-c"], &file)[..3], [lines, words, bytes], "{path}");
        assert!(packed.parse::<u64>().is_ok_and(|packed| packed > 0), "{path}: {packed}");
    }
    let gzips = std::fs::read_dir(store.join("out/gzip")).expect("a folder");
    let gzips: Vec<PathBuf> = gzips.map(|entry| entry.expect("readable").path()).collect();
    assert!(gzips.len() > 100);
    for gzip in gzips {
        words_of("gzip", &["-t"], &gzip);
    }
}
