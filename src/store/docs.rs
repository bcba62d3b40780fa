//! Documents in the store: what is newer than the last checkpoint in memory, the rest in the state file.
//!
//! I1  A reader sees every document that was durable before it asked, each as it was last put.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTableMetadata, TableError};

use super::file::{DOCS, META, StateFile, damaged, storage, unseal_one};
use super::recovery::{OpenError, contained};
use super::survey::STATE;
use super::tables::Tables;
use crate::limits::DOCS_AT_ONCE;
use crate::model::{Doc, DocKey, Kept, RecipeId, kept, kind};
use crate::state::State;

type Table = ReadOnlyTable<(u8, u64, u64), &'static [u8]>;

const fn place(key: DocKey) -> (u8, u64, u64) {
    (key.kind, key.id, key.sub)
}

/// The table; none in a file of a format that had none.
fn table(txn: &ReadTransaction) -> Result<Option<Table>, OpenError> {
    match txn.open_table(DOCS) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(storage("read")(error)),
    }
}

fn read(key: DocKey, bytes: &[u8]) -> Result<Arc<Doc>, OpenError> {
    let doc: Doc = unseal_one(bytes)?;
    if doc.key() == key {
        Ok(Arc::new(doc))
    } else {
        Err(damaged(format!("a document stands under {key:?}")))
    }
}

impl Tables {
    /// The document under a key.
    ///
    /// Cost: a look under a lock, or one of the file.
    pub(crate) fn doc(&self, key: DocKey) -> Result<Option<Arc<Doc>>, OpenError> {
        {
            let shared = self.shared.lock();
            let frozen = || shared.frozen.as_ref().and_then(|frozen| frozen.docs.get(&key));
            if let Some(known) = shared.recent.docs.get(&key).or_else(frozen) {
                return Ok(known.clone());
            }
        }
        contained(STATE, || {
            let txn = self.read()?;
            let Some(table) = table(&txn)? else { return Ok(None) };
            let bytes = table.get(place(key)).map_err(storage("read"))?;
            bytes.map(|bytes| read(key, bytes.value())).transpose()
        })
    }

    /// Documents with keys in `from..=to`, by key, at most `limit` (and at most
    /// [`DOCS_AT_ONCE`](crate::limits)); the greatest first where `is_descending`.
    ///
    /// Cost: those documents.
    pub(crate) fn docs(
        &self,
        (from, to): (DocKey, DocKey),
        is_descending: bool,
        limit: usize,
    ) -> Result<Vec<Arc<Doc>>, OpenError> {
        let limit = limit.min(DOCS_AT_ONCE);
        if from > to || limit == 0 {
            return Ok(Vec::new());
        }
        // Before the file is looked at: what a checkpoint takes over meanwhile is then in both.
        let newer: BTreeMap<DocKey, Option<Arc<Doc>>> = {
            let shared = self.shared.lock();
            let frozen = shared.frozen.iter().flat_map(|frozen| frozen.docs.range(from..=to));
            frozen.chain(shared.recent.docs.range(from..=to)).map(|(key, doc)| (*key, doc.clone())).collect()
        };
        let mut all = newer;
        let txn = self.read()?;
        contained(STATE, || {
            let Some(table) = table(&txn)? else { return Ok::<(), OpenError>(()) };
            let mut rows = table.range(place(from)..=place(to)).map_err(storage("read"))?;
            let mut n_read = 0;
            while n_read < limit {
                let row = if is_descending { rows.next_back() } else { rows.next() };
                let Some(row) = row else { break };
                let (at, bytes) = row.map_err(storage("read"))?;
                let (kind, id, sub) = at.value();
                let key = DocKey { kind, id, sub };
                if let Entry::Vacant(slot) = all.entry(key) {
                    slot.insert(Some(read(key, bytes.value())?));
                    n_read += 1;
                }
            }
            Ok(())
        })?;
        let found = all.into_values().flatten();
        Ok(if is_descending { found.rev().take(limit).collect() } else { found.take(limit).collect() })
    }
}

/// Gives the state those documents that it keeps in memory, and the greatest id of each kind.
pub(super) fn restore(file: &StateFile, state: &mut State) -> Result<(), OpenError> {
    let txn = file.db()?.begin_read().map_err(storage("read"))?;
    let meta = txn.open_table(META).map_err(storage("read"))?;
    let n_docs = meta.get("docs").map_err(storage("read"))?.map(|bytes| unseal_one::<u64>(bytes.value()));
    let Some(table) = table(&txn)? else { return Ok(()) };
    let n_there = table.len().map_err(storage("read"))?;
    let n_docs = n_docs.transpose()?.unwrap_or(0);
    if n_docs != n_there {
        return Err(damaged(format!("docs has {n_there} rows, {n_docs} were written")));
    }
    let about = |state: &mut State, from: DocKey, to: DocKey| {
        for row in table.range(place(from)..=place(to)).map_err(storage("read"))? {
            let (at, bytes) = row.map_err(storage("read"))?;
            let (kind, id, sub) = at.value();
            state.restore_doc(&read(DocKey { kind, id, sub }, bytes.value())?);
        }
        Ok::<(), OpenError>(())
    };
    for kind in 0..u8::try_from(kind::N).expect("few") {
        let (from, to) = (DocKey { kind, id: 0, sub: 0 }, DocKey { kind, id: u64::MAX, sub: u64::MAX });
        if kept(kind) == Kept::Always {
            about(state, from, to)?;
        }
        if let Some(row) = table.range(place(from)..=place(to)).map_err(storage("read"))?.next_back() {
            let (kind, id, sub) = row.map_err(storage("read"))?.0.value();
            state.saw_doc(DocKey { kind, id, sub });
        }
    }
    state.restore_definitions();
    let open: Vec<RecipeId> = state.docs().open_recipes().collect();
    for recipe in open {
        for kind in [kind::RECIPE, kind::RECIPE_PART] {
            let key = |sub| DocKey { kind, id: recipe.0, sub };
            about(state, key(0), key(u64::MAX))?;
        }
        if let Some(doc) = state.recipe_doc(recipe)
            && state.definition(doc.recipe_type, doc.revision).is_none()
        {
            let (kind, revision) = (doc.recipe_type, doc.revision);
            let what = format!("recipe {recipe} goes on, and revision {revision} of its type {kind}");
            return Err(damaged(format!("{what} cannot be read")));
        }
    }
    Ok(())
}

/// Gives the state what completed jobs of recipes that go on gave.
pub(super) fn restore_outputs(tables: &Tables, state: &mut State) -> Result<(), OpenError> {
    for (recipe, job) in state.completed_in_recipes() {
        let key = |sub| DocKey { kind: kind::JOB_OUTPUT, id: job.0, sub };
        for doc in tables.docs((key(0), key(u64::MAX)), true, 1)? {
            if let Doc::JobOutput(output) = &*doc {
                state.give_output(recipe, &Arc::new(output.clone()));
            }
        }
    }
    Ok(())
}
