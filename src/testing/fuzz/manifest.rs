//! Any bytes as a Seed manifest: refused in words, or what it answers as its document reads to the same.

use serde_json::Value;

use crate::catalog::manifest::Manifest;
use crate::limits::JOB_TYPE_BYTES_MAX;
use crate::model::{QUANTITY_MAX, Quantity};

/// Sizes of an input (MiB) under which what a manifest asks for is looked at.
const INPUTS: [Quantity; 3] = [Quantity::ZERO, Quantity(100_200), Quantity(QUANTITY_MAX)];

/// See the file.
pub fn manifest(bytes: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(bytes) else { return };
    let manifest = match Manifest::read(&document) {
        Ok(manifest) => manifest,
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty() && text.len() < JOB_TYPE_BYTES_MAX, "{text}");
            return;
        }
    };
    let again = Manifest::read(&manifest.to_value()).expect("what is answered is valid");
    assert_eq!(again, manifest);
    let of_type = manifest.type_resources();
    for input in INPUTS {
        let asked = manifest.resources(input);
        assert!(
            asked.get("disk") >= input && asked.get("sharedmem") == Quantity::ZERO,
            "{asked} for {input}"
        );
        let missing = asked.shortage(&of_type);
        assert!(missing.iter().all(|(name, _)| name.as_str() == "sharedmem"), "{asked} below {of_type}");
    }
}
