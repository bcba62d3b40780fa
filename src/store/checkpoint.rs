//! The checkpointer: a thread beside the core that brings the state file up to what is durable.
//!
//! Protocol of a checkpoint:
//! 1. What has gathered is set aside (`frozen`); what comes from now on gathers anew.
//! 2. Its jobs become segments, and what they were given pieces, in transactions of bounded size that
//!    are not synced by themselves. Nobody reads them yet: the directory does not name them.
//! 3. The last transaction marks the old rows of these jobs, writes sparse segments anew, and changes
//!    directory, places, catalog, counts and totals. Its sync is the checkpoint.
//! 4. The index in memory follows, and what was set aside is dropped.
//! 5. The log is told that it is covered.
//!
//! A crash before 3 ends leaves numbers that are used again; after it, the log's rows are read and
//! skipped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use foldhash::HashMap;
use redb::{Durability, ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::file::{
    COUNTS, CREATIONS, DIRECTORY, DOCS, FORMAT, Head, LOAD, META, PLACES, RECIPES, Rows, SEGMENTS,
    SUBMISSIONS, TYPES, seal, storage, unseal,
};
use super::index::{Index, place_in, put_places};
use super::list::RecipeJobs;
use super::recent::{Recent, RecentLoad};
use super::recovery::{OpenError, contained};
use super::segment::{Builder, Place, Segment, SegmentInfo};
use super::survey::STATE;
use super::tables::{Tables, segment_error};
use crate::clock::monotonic;
use crate::limits::{CHECKPOINT_BYTES, PLACES_MAX, REWRITES_MAX, SEGMENT_BYTES, SUBMISSIONS_MAX};
use crate::model::{Accepted, EventNumber, JobId};
use crate::sync::Ordering;

/// Submissions in one piece of their table.
const SUBMISSIONS_AT_ONCE: usize = 1_000;

/// Recipes in one piece of their table.
const RECIPES_AT_ONCE: usize = 1_000;

/// Rows that are marked as old before others get the processor.
const ROWS_AT_ONCE: usize = 512;

/// Between two looks for room on a disk that is full.
const ROOM_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 2 } else { 250 });

/// What a checkpoint changes of the index, once it is on disk.
#[derive(Default)]
pub(super) struct Changes {
    infos: HashMap<u32, SegmentInfo>,
    gone: Vec<u32>,
    /// New places, by id; true for a job that is over.
    places: HashMap<JobId, (Place, bool)>,
    pub(super) head: Head,
    /// Jobs that retention dropped.
    pub(super) dropped: BTreeSet<JobId>,
    /// What was marked to be dropped was looked at.
    pub(super) has_dropped: bool,
}

impl Tables {
    /// Makes checkpoints until the tables are closed. `covered` is told of each.
    pub(crate) fn run(&self, covered: impl Fn(EventNumber)) {
        loop {
            {
                let mut shared = self.shared.lock();
                while !shared.is_closed && !shared.is_wanted && shared.recent.bytes() < self.recent_bytes {
                    self.bell.wait(&mut shared);
                }
                if shared.is_closed {
                    return;
                }
                shared.is_wanted = false;
            }
            match self.checkpoint() {
                Ok(position) => covered(position),
                // What was set aside stays there, and the log keeps it.
                Err(OpenError::Full { .. }) => self.wait_for_room(),
                Err(_) => return,
            }
        }
    }

    /// Opens the file again, again and again while there is no room, until the tables are closed.
    fn wait_for_room(&self) {
        loop {
            let mut shared = self.shared.lock();
            let end = monotonic() + ROOM_PAUSE;
            while !shared.is_closed && !self.bell.wait_until(&mut shared, end).timed_out() {}
            if shared.is_closed {
                return;
            }
            shared.is_wanted = true;
            drop(shared);
            if self.file.reopen().is_ok() {
                return;
            }
        }
    }

    /// Ends `run`.
    pub(crate) fn close(&self) {
        self.shared.lock().is_closed = true;
        self.bell.notify_all();
    }

    /// Closes the file, which cannot be read from then on.
    pub(crate) fn close_file(&self) {
        self.file.close();
    }

    /// Brings the file up to everything that was added.
    pub(crate) fn checkpoint_all(&self) -> Result<EventNumber, OpenError> {
        loop {
            let position = self.checkpoint()?;
            // One that had failed before is made first, by itself.
            if self.shared.lock().recent.is_empty() {
                return Ok(position);
            }
        }
    }

    /// Brings the file up to what is durable, and says what it holds then.
    fn checkpoint(&self) -> Result<EventNumber, OpenError> {
        let frozen = {
            let mut shared = self.shared.lock();
            if shared.frozen.is_none() {
                if shared.recent.is_empty() {
                    return Ok(shared.index.head.totals.last_event);
                }
                let recent = std::mem::take(&mut shared.recent);
                self.n_recent_bytes.store(0, Ordering::Relaxed);
                shared.frozen = Some(Arc::new(recent));
            }
            shared.checkpoints.n_begun += 1;
            self.file.hurry(shared.is_closed || shared.recent.bytes() >= self.recent_bytes / 2);
            shared.frozen.clone().expect("just set aside")
        };
        let written = contained(STATE, || match self.settle()? {
            Some(changes) => Ok(changes),
            None => self.write(&frozen),
        });
        let mut shared = self.shared.lock();
        shared.checkpoints.n_done += 1;
        self.added.notify_all();
        match written {
            Ok(changes) => {
                let position = changes.head.totals.last_event;
                shared.checkpoints.position = position;
                let n_written = changes.places.len();
                if changes.has_dropped {
                    shared.marked.clear();
                }
                shared.index.follow(changes);
                shared.frozen = None;
                (shared.error, shared.read_error) = (None, None);
                shared.wants_room = false;
                drop(shared);
                // What cannot be read is told by whoever needs it; nothing is dropped then.
                if let Err(error) = self.mark(n_written) {
                    self.set_read_error(&error);
                }
                Ok(position)
            }
            Err(error) => {
                shared.wants_room = matches!(error, OpenError::Full { .. });
                if !shared.wants_room {
                    self.file.trust(false);
                }
                shared.error = Some(error.to_string().into());
                Err(error)
            }
        }
    }

    fn write(&self, frozen: &Recent) -> Result<Changes, OpenError> {
        let mut changes = Changes { head: self.shared.lock().index.head, ..Changes::default() };
        changes.head.format = FORMAT;
        changes.head.store = self.store.0;
        changes.head.totals = frozen.totals.expect("something gathered");
        self.write_created(frozen)?;
        self.write_jobs(frozen, &mut changes)?;
        self.kill_old(frozen, &mut changes)?;
        let txn = self.begin()?;
        self.drop_marked(&txn, frozen, &mut changes)?;
        self.rewrite(&txn, &mut changes)?;
        self.write_index(&txn, &mut changes)?;
        Self::write_recipes(&txn, frozen)?;
        Self::write_rest(&txn, frozen)?;
        Self::write_submissions(&txn, frozen, &mut changes.head)?;
        let rows = Rows::after(&txn)?;
        {
            let mut meta = txn.open_table(META).map_err(storage("write"))?;
            meta.insert("rows", seal([rows]).as_slice()).map_err(storage("write"))?;
            meta.insert("head", seal([changes.head]).as_slice()).map_err(storage("write"))?;
            let n_docs = txn.open_table(DOCS).map_err(storage("read"))?.len().map_err(storage("read"))?;
            meta.insert("docs", seal([n_docs]).as_slice()).map_err(storage("write"))?;
        }
        // It may be on disk although it fails: see `settle`.
        match txn.commit().map_err(storage("sync")) {
            Err(error @ OpenError::Full { .. }) => {
                self.shared.lock().unsure = Some(changes);
                Err(error)
            }
            Err(error) => Err(error),
            Ok(()) => Ok(changes),
        }
    }

    /// Finds out whether a checkpoint that failed for want of room is in the file all the same, once that
    /// was opened again, and has it synced.
    fn settle(&self) -> Result<Option<Changes>, OpenError> {
        let Some(head) = self.shared.lock().unsure.as_ref().map(|changes| changes.head) else {
            return Ok(None);
        };
        // Until this is answered, nobody may write over what may be there.
        let is_there = self.file.head(self.store)? == Some(head);
        if is_there {
            let txn = self.begin()?;
            {
                let mut meta = txn.open_table(META).map_err(storage("write"))?;
                meta.insert("head", seal([head]).as_slice()).map_err(storage("write"))?;
            }
            txn.commit().map_err(storage("sync"))?;
        }
        let changes = self.shared.lock().unsure.take();
        Ok(changes.filter(|_| is_there))
    }

    fn begin(&self) -> Result<WriteTransaction, OpenError> {
        let mut txn = self.file.db()?.begin_write().map_err(storage("write"))?;
        txn.set_durability(Durability::Immediate).map_err(storage("write"))?;
        txn.set_quick_repair(true);
        Ok(txn)
    }

    /// Writes values under rising keys, in transactions of bounded size. They are synced with the last
    /// transaction of the checkpoint: each sync of this file holds up those of the log.
    fn write_all<K>(
        &self,
        table: redb::TableDefinition<K, &'static [u8]>,
        all: Vec<(K, Vec<u8>)>,
    ) -> Result<(), OpenError>
    where
        K: redb::Key + 'static + for<'k> std::borrow::Borrow<K::SelfType<'k>>,
    {
        let mut all = all.into_iter().peekable();
        while all.peek().is_some() {
            let mut txn = self.file.db()?.begin_write().map_err(storage("write"))?;
            txn.set_durability(Durability::None).map_err(storage("write"))?;
            {
                let mut table = txn.open_table(table).map_err(storage("write"))?;
                let mut n_bytes = 0;
                while n_bytes < CHECKPOINT_BYTES {
                    let Some((key, bytes)) = all.next() else { break };
                    n_bytes += bytes.len();
                    table.insert(key, bytes.as_slice()).map_err(storage("write"))?;
                    self.file.rest();
                }
            }
            txn.commit().map_err(storage("write"))?;
        }
        Ok(())
    }

    fn write_created(&self, frozen: &Recent) -> Result<(), OpenError> {
        let mut pieces = Vec::new();
        let mut piece: Vec<u8> = Vec::new();
        let mut first = 0;
        let mut close = |first: u64, piece: &mut Vec<u8>| {
            let mut bytes = crc32fast::hash(piece).to_le_bytes().to_vec();
            bytes.append(piece);
            pieces.push((first, bytes));
        };
        for creation in frozen.created() {
            if piece.is_empty() {
                first = creation.first.0;
            }
            super::file::encode(&**creation, &mut piece);
            if piece.len() >= SEGMENT_BYTES {
                close(first, &mut piece);
            }
        }
        if !piece.is_empty() {
            close(first, &mut piece);
        }
        self.write_all(CREATIONS, pieces)
    }

    fn write_jobs(&self, frozen: &Recent, changes: &mut Changes) -> Result<(), OpenError> {
        let mut segments = Vec::new();
        let mut builder = Builder::default();
        for changed in frozen.iter() {
            let row = builder.push(changed.id, &changed.job, &changed.parents);
            let place = Place { segment: changes.head.next_segment, row };
            changes.places.insert(changed.id, (place, !changed.job.is_open()));
            if builder.is_full() {
                segments.push(changes.seal(std::mem::take(&mut builder), None));
                self.file.rest();
            }
        }
        if !builder.is_empty() {
            segments.push(changes.seal(builder, None));
        }
        self.write_all(SEGMENTS, segments)
    }

    /// Marks the rows that the jobs had before.
    fn kill_old(&self, frozen: &Recent, changes: &mut Changes) -> Result<(), OpenError> {
        let txn = self.read()?;
        let places = txn.open_table(PLACES).map_err(storage("read"))?;
        for (n, changed) in frozen.iter().enumerate() {
            if n % ROWS_AT_ONCE == ROWS_AT_ONCE - 1 {
                self.file.rest();
            }
            let Some(before) = changed.before else { continue };
            let (open, known) = {
                let shared = self.shared.lock();
                let open = shared.index.open.get(changed.id.0).copied();
                (open, open.or_else(|| shared.index.over.get(&changed.id).copied()))
            };
            let place = match known {
                Some(place) => Some(place),
                None => place_in(&places, changed.id)?,
            };
            let Some(place) = place else { continue };
            let shared = self.shared.lock();
            let Some(info) = changes.info(&shared.index, place.segment) else { continue };
            info.kill(place.row, changed.job.job_type, before, open.is_some());
        }
        Ok(())
    }

    /// Writes what is left of sparse segments anew, and removes the empty ones.
    fn rewrite(&self, txn: &WriteTransaction, changes: &mut Changes) -> Result<(), OpenError> {
        let runs = {
            let shared = self.shared.lock();
            let runs = shared.index.sparse(&changes.infos, REWRITES_MAX);
            for number in runs.iter().flatten() {
                if !changes.infos.contains_key(number) {
                    changes.infos.insert(*number, shared.index.directory[number].clone());
                }
            }
            runs
        };
        let mut segments = txn.open_table(SEGMENTS).map_err(storage("write"))?;
        let empty: Vec<u32> =
            changes.infos.iter().filter(|(_, info)| info.n_live() == 0).map(|(number, _)| *number).collect();
        for number in empty {
            segments.remove(number).map_err(storage("write"))?;
            changes.infos.remove(&number);
            changes.gone.push(number);
        }
        for run in runs {
            let orders: Vec<u64> = run.iter().map(|number| changes.infos[number].order).collect();
            let mut orders = orders.into_iter();
            let mut made = Vec::new();
            let mut builder = Builder::default();
            for number in &run {
                let info = changes.infos.remove(number).expect("put there above");
                let bytes = segments.remove(number).map_err(storage("write"))?;
                let bytes =
                    bytes.ok_or_else(|| super::file::damaged(format!("segment {number} is missing")))?;
                let mut segment = Segment::read(bytes.value()).map_err(segment_error(*number))?;
                for row in (0..info.n_rows).filter(|row| !info.is_dead(*row)) {
                    let bad =
                        || super::file::damaged(format!("row {row} of segment {number} cannot be read"));
                    let stored = segment.job(usize::from(row)).ok_or_else(bad)?;
                    let row = builder.push(stored.id, &stored.job, &stored.parents);
                    let place = Place { segment: changes.head.next_segment, row };
                    changes.places.insert(stored.id, (place, !stored.job.is_open()));
                    if builder.is_full() {
                        made.push(changes.seal(std::mem::take(&mut builder), orders.next()));
                    }
                }
                changes.gone.push(*number);
            }
            if !builder.is_empty() {
                made.push(changes.seal(builder, orders.next()));
            }
            for (number, bytes) in made {
                segments.insert(number, bytes.as_slice()).map_err(storage("write"))?;
            }
        }
        Ok(())
    }

    fn write_index(&self, txn: &WriteTransaction, changes: &mut Changes) -> Result<(), OpenError> {
        let mut directory = txn.open_table(DIRECTORY).map_err(storage("write"))?;
        for number in &changes.gone {
            directory.remove(number).map_err(storage("write"))?;
        }
        for (number, info) in &changes.infos {
            directory.insert(number, seal([info]).as_slice()).map_err(storage("write"))?;
        }
        let n_over = changes.places.values().filter(|(_, is_over)| *is_over).count();
        let known = {
            let shared = self.shared.lock();
            (shared.index.over.len() + n_over > PLACES_MAX).then(|| shared.index.over.clone())
        };
        let Some(known) = known else { return Ok(()) };
        let is_over = |(id, (place, is_over)): (&JobId, &(Place, bool))| is_over.then_some((*id, *place));
        let mut over: Vec<(JobId, Place)> = changes.places.iter().filter_map(is_over).collect();
        over.extend(
            known
                .into_iter()
                .filter(|(id, _)| !changes.places.contains_key(id) && !changes.dropped.contains(id)),
        );
        over.sort_unstable_by_key(|(id, _)| *id);
        let mut places = txn.open_table(PLACES).map_err(storage("write"))?;
        put_places(&mut places, &over)?;
        changes.head.placed_below = changes.head.next_segment;
        Ok(())
    }

    /// Where the jobs of recipes are, whose ids rise with those of the recipes.
    fn write_recipes(txn: &WriteTransaction, frozen: &Recent) -> Result<(), OpenError> {
        let mut all: Vec<RecipeJobs> = Vec::new();
        for creation in frozen.created() {
            let Some(nodes) = &creation.recipe else { continue };
            match all.last_mut().filter(|(recipe, _, _)| *recipe == nodes.recipe.0) {
                Some((_, _, n)) => *n += creation.request.count,
                None => all.push((nodes.recipe.0, creation.first.0, creation.request.count)),
            }
        }
        let mut table = txn.open_table(RECIPES).map_err(storage("write"))?;
        for piece in all.chunks(RECIPES_AT_ONCE) {
            table.insert(piece[0].0, seal(piece).as_slice()).map_err(storage("write"))?;
        }
        Ok(())
    }

    /// Answers to submissions; whole pieces of the oldest ones go.
    fn write_submissions(txn: &WriteTransaction, frozen: &Recent, head: &mut Head) -> Result<(), OpenError> {
        if frozen.submissions.is_empty() {
            return Ok(());
        }
        let mut table = txn.open_table(SUBMISSIONS).map_err(storage("write"))?;
        let mut n_pieces = 0;
        for (at, piece) in frozen.submissions.chunks(SUBMISSIONS_AT_ONCE).enumerate() {
            n_pieces += 1;
            head.n_submissions += piece.len() as u64;
            let piece = seal(piece.iter().map(|(id, accepted)| (id.to_string(), *accepted)));
            let key = (head.totals.last_event.0 << 16) + at as u64;
            table.insert(key, piece.as_slice()).map_err(storage("write"))?;
        }
        // More than come: pieces may be small.
        for _ in 0..4 * n_pieces + 4 {
            let first = table.first().map_err(storage("read"))?;
            let first = first.map(|(_, bytes)| unseal::<(String, Accepted)>(bytes.value())).transpose()?;
            let n = first.map_or(0, |piece| piece.len() as u64);
            if n == 0 || head.n_submissions - n < SUBMISSIONS_MAX as u64 {
                break;
            }
            table.pop_first().map_err(storage("write"))?;
            head.n_submissions -= n;
        }
        Ok(())
    }

    fn write_docs(txn: &WriteTransaction, frozen: &Recent) -> Result<(), OpenError> {
        let mut docs = txn.open_table(DOCS).map_err(storage("write"))?;
        for (key, doc) in &frozen.docs {
            let place = (key.kind, key.id, key.sub);
            match doc {
                Some(doc) => drop(docs.insert(place, seal([&**doc]).as_slice()).map_err(storage("write"))?),
                None => drop(docs.remove(place).map_err(storage("write"))?),
            }
        }
        Ok(())
    }

    fn write_rest(txn: &WriteTransaction, frozen: &Recent) -> Result<(), OpenError> {
        let mut types = txn.open_table(TYPES).map_err(storage("write"))?;
        for (id, kind) in &frozen.job_types {
            types.insert(id.0, seal([&**kind]).as_slice()).map_err(storage("write"))?;
        }
        let mut counts = txn.open_table(COUNTS).map_err(storage("write"))?;
        for (id, count) in &frozen.counts {
            counts.insert(id.0, seal([count]).as_slice()).map_err(storage("write"))?;
        }
        Self::write_docs(txn, frozen)?;
        Self::write_load(txn, &frozen.load)
    }

    /// Only what came or went: rows of before stay as they are.
    fn write_load(txn: &WriteTransaction, changed: &RecentLoad) -> Result<(), OpenError> {
        let mut load = txn.open_table(LOAD).map_err(storage("write"))?;
        if let Some(from) = changed.cut {
            load.retain_in(..(from, 0), |_, _| false).map_err(storage("write"))?;
        }
        for at in &changed.dropped {
            load.retain_in((*at, 0)..=(*at, u32::MAX), |_, _| false).map_err(storage("write"))?;
        }
        for (key, row) in &changed.rows {
            load.insert(key, seal([row]).as_slice()).map_err(storage("write"))?;
        }
        Ok(())
    }
}

impl Changes {
    /// What is known of a segment by now.
    pub(super) fn info(&mut self, index: &Index, number: u32) -> Option<&mut SegmentInfo> {
        match self.infos.entry(number) {
            std::collections::hash_map::Entry::Occupied(info) => Some(info.into_mut()),
            std::collections::hash_map::Entry::Vacant(slot) => {
                index.directory.get(&number).map(|info| slot.insert(info.clone()))
            }
        }
    }

    /// Gives a segment its number, and its order where it has none.
    fn seal(&mut self, builder: Builder, order: Option<u64>) -> (u32, Vec<u8>) {
        let order = order.unwrap_or_else(|| {
            self.head.next_order += 1;
            self.head.next_order
        });
        let number = self.head.next_segment;
        self.head.next_segment += 1;
        let (bytes, info) = builder.seal(order);
        self.infos.insert(number, info);
        (number, bytes)
    }
}

impl Index {
    /// Follows a checkpoint that is on disk.
    fn follow(&mut self, changes: Changes) {
        for number in changes.gone {
            self.remove(number);
        }
        for (number, info) in changes.infos {
            self.put(number, info);
        }
        if changes.head.placed_below > self.head.placed_below {
            self.over.clear();
        }
        for id in &changes.dropped {
            self.over.remove(id);
        }
        let is_placed = changes.head.placed_below > self.head.placed_below;
        for (id, (place, is_over)) in changes.places {
            if is_over {
                self.open.remove(id.0);
                if !is_placed {
                    self.over.insert(id, place);
                }
            } else {
                self.open.insert(id.0, place);
                self.over.remove(&id);
            }
        }
        self.head = changes.head;
    }
}
