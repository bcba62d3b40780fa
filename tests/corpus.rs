//! The corpora of the fuzz targets under plain `cargo test`: what they found once stays found. Their
//! seeds stand beside this file as steps, so that they can be read; `WEIGHBRIDGE_BLESS=1 cargo test
//! --test corpus` writes their files anew.

#[path = "corpus/engine.rs"]
mod engine;
#[path = "corpus/queue.rs"]
mod queue;
#[path = "common/steps/mod.rs"]
mod steps;
#[path = "corpus/words.rs"]
mod words;

use std::path::{Path, PathBuf};

use steps::{STEP_BYTES, STEPS_MAX, Step, agree, agree_queue, steps_from};

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

fn bytes_of(steps: &[Step]) -> Vec<u8> {
    steps.iter().flat_map(Step::write).collect()
}

/// Holds the files of seeds against what they are made from.
fn check_seeds(target: &str, seeds: Vec<(&str, Vec<Step>)>) {
    let is_blessed = std::env::var_os("WEIGHBRIDGE_BLESS").is_some();
    for (name, steps) in seeds {
        let (path, bytes) = (folder(target).join(name), bytes_of(&steps));
        assert!(steps.len() <= STEPS_MAX, "{name} is cut when it is read");
        assert_eq!(steps_from(&bytes), steps, "{name} does not read back");
        if is_blessed {
            std::fs::write(&path, &bytes).expect("writable");
        }
        let found = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(found == bytes, "{name} differs; WEIGHBRIDGE_BLESS=1 writes it anew");
    }
}

/// Gives `check` all steps of a corpus.
fn replay(target: &str, check: impl Fn(&[Step])) {
    let files = std::fs::read_dir(folder(target)).expect("the corpus is there");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("listed").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "the corpus is empty");
    for path in paths {
        let steps = steps_from(&std::fs::read(&path).expect("readable"));
        // What is printed when a test fails.
        println!("{}: {} steps", path.display(), steps.len());
        check(&steps);
    }
}

#[test]
fn every_seed_is_in_the_corpus_as_it_stands_here() {
    check_seeds("steps", engine::seeds());
    check_seeds("queue", queue::seeds());
}

#[test]
fn the_engine_agrees_with_the_simple_queue_over_the_whole_corpus() {
    replay("steps", |steps| {
        agree(false, steps);
        agree(true, steps);
    });
}

#[test]
fn the_bare_queue_agrees_with_the_simple_one_over_both_corpora() {
    replay("queue", agree_queue);
    replay("steps", agree_queue);
}

#[test]
fn any_bytes_are_steps() {
    assert_eq!(steps_from(&[]), []);
    assert_eq!(steps_from(&[255]).len(), 1);
    assert_eq!(steps_from(&[7; STEP_BYTES * STEPS_MAX + 5]).len(), STEPS_MAX);
}
