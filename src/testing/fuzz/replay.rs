//! The corpora under plain `cargo test`: what fuzzing found once stays found. `WEIGHBRIDGE_BLESS=1 cargo
//! test --lib corpus` writes the seeds that stand here anew.

use std::path::{Path, PathBuf};

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

fn replay(target: &str, body: impl Fn(&[u8])) {
    // A package holds no corpora.
    let Ok(files) = std::fs::read_dir(folder(target)) else { return };
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("listed").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "the corpus is empty");
    for path in paths {
        // What is printed when a test fails.
        println!("{}", path.display());
        body(&std::fs::read(&path).expect("readable"));
    }
}

#[test]
fn the_corpus_of_rows_decodes_to_errors_or_to_what_is_written_so() {
    replay("batch_decode", super::batch_decode);
}

#[test]
fn the_corpus_of_manifests_is_refused_or_reads_back() {
    replay("manifest", super::manifest);
}

#[test]
fn the_corpus_of_damaged_stores_opens_rightly_or_is_refused() {
    super::store_open(&[0]);
    super::store_open(&[1]);
    replay("store_open", super::store_open);
}

#[cfg(feature = "server")]
#[test]
fn the_corpus_of_bodies_is_read_or_refused_with_words() {
    replay("api_body", super::api_body);
}

#[cfg(feature = "server")]
#[test]
fn the_corpus_of_instants_is_refused_or_reads_back() {
    replay("time_param", super::time_param);
}

#[cfg(feature = "server")]
#[test]
fn the_corpus_of_messages_is_refused_with_words_or_reads_back() {
    replay("message", super::message);
}

#[cfg(feature = "cli")]
#[test]
fn the_corpus_of_workload_files_is_refused_with_faults_or_valid() {
    replay("workload_file", super::workload_file);
}

#[cfg(feature = "mesos")]
#[test]
fn the_corpus_of_records_is_the_same_however_it_is_cut() {
    replay("recordio", super::recordio);
}

#[cfg(feature = "mesos")]
#[test]
fn the_corpus_of_events_is_refused_or_understood() {
    replay("mesos_event", super::mesos_event);
}
