//! Nodes as a pass compares them: amounts in columns, sixty-four nodes to a block, and a log of
//! which nodes changed, from which whatever was computed of them is brought up to date.
//!
//! F1  Nodes stand by ascending id, so that the first of equals is the one with the lowest id.
//! F2  `most` of a block is at least what each of its open nodes has left.
//! F3  Whoever saw the log up to a position and then sees the nodes named after it again knows
//!     them all; a new `generation` means that positions and places mean nothing any more.

use std::collections::BTreeMap;

use foldhash::HashMap;

use super::machine::{COLUMN_LEN, Column, Machine};
use super::need::{GPUS, Need, Signed, amounts, has};
use super::rules::{RuleId, Rules};
use crate::model::{JobTypeId, NodeId, NodeResources, Quantity, RESOURCES_MAX, Timestamp};
use crate::offer::GpuSlots;
use crate::queue::{Amounts, Queue};

/// Nodes of a block.
pub(super) const BLOCK_LEN: usize = COLUMN_LEN;

/// A block's `most` is made true again after so many of its nodes lost something.
const STALE_MAX: u8 = 32;

/// What an execution that runs on a node has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningShare {
    /// The lower number is the more important.
    pub priority: i32,
    /// What it has, or will have.
    pub asks: NodeResources,
    /// False between two steps: it uses nothing now, and its next step asks for this.
    pub is_current: bool,
    /// Of which job type, where that is known.
    pub job_type: Option<JobTypeId>,
    /// When it ends, where that can be told.
    pub ends: Option<Timestamp>,
}

impl RunningShare {
    /// What runs now.
    pub fn new(priority: i32, asks: NodeResources) -> Self {
        Self { priority, asks, is_current: true, job_type: None, ends: None }
    }
}

/// A node at the beginning of a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchedulingNode {
    /// Which.
    pub id: NodeId,
    /// Whether it takes new executions.
    pub is_ready: bool,
    /// What is on offer.
    pub offered: NodeResources,
    /// The most that was on offer or in use lately.
    pub watermark: NodeResources,
    /// What runs there.
    pub running: Vec<RunningShare>,
    /// What is in use by what is no job's.
    pub other: NodeResources,
    /// What was given away of the offer before the pass.
    pub given: NodeResources,
    /// What it is like, by name.
    pub attributes: BTreeMap<String, String>,
    /// Its graphics processors as slots, and what of each is in use; none where they are only an amount. What
    /// is placed there then takes what [`GpuSlots::take`] gives, in the order of the picks.
    pub gpus: Option<GpuSlots>,
}

impl SchedulingNode {
    /// A node that takes executions, has `total` and offers all of it.
    pub fn idle(id: NodeId, total: &NodeResources) -> Self {
        let (offered, watermark) = (total.clone(), total.clone());
        Self { id, is_ready: true, offered, watermark, ..Self::default() }
    }
}

/// A node's amounts.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    left: Signed,
    room: Signed,
    base: Signed,
}

/// What executions of one priority have of a node.
#[derive(Clone, Copy, Debug)]
struct Hold {
    priority: i32,
    sum: Signed,
}

#[derive(Clone, Debug)]
struct Slot {
    id: NodeId,
    /// Whether it takes executions at all.
    is_ready: bool,
    /// Whether it is closed for the rest of a pass.
    is_closed: bool,
    holds: Vec<Hold>,
    /// Job types of executions there that are to be spread.
    spread: Vec<JobTypeId>,
    /// Its graphics processors, where they are slots.
    gpus: Option<Box<Gpus>>,
}

/// Slots of a node. What its column has is the least of what is left of the offers and the most that can be
/// taken of the slots at once: whoever asks for no more finds slots.
#[derive(Clone, Debug)]
struct Gpus {
    slots: GpuSlots,
    /// What is left of the offers.
    left: i64,
}

impl Gpus {
    fn column(&self) -> i64 {
        self.left.min(i64::try_from(self.slots.largest().0).unwrap_or(i64::MAX))
    }

    /// Takes slots for what was found to fit; what is left for others.
    fn take(&mut self, asks: i64) -> i64 {
        self.left -= asks;
        // It stays in use until the node is told anew.
        let taken = self.slots.take(Quantity(asks.unsigned_abs()));
        debug_assert!(taken.is_ok(), "{taken:?}: it was found to fit");
        self.column()
    }
}

/// Requests of which is known whether an empty node could take them.
const EVER_MAX: usize = 1 << 14;

/// Where a request would fit if nothing ran.
#[derive(Clone, Copy, Debug)]
enum Ever {
    On(u32),
    /// Nowhere, after nodes grew so often.
    No(u64),
}

/// Which nodes meet a rule.
#[derive(Clone, Debug, Default)]
struct Suited {
    /// By block.
    suits: Vec<u64>,
    /// By node: soft demands that it does not meet.
    unmet: Vec<u8>,
    /// By node: a number for the value of the attribute over which is spread.
    group: Vec<u16>,
    /// The numbers.
    groups: BTreeMap<String, u16>,
}

/// See the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Fleet {
    machine: Machine,
    pub(super) n_resources: usize,
    slots: Vec<Slot>,
    /// By block and resource: what is left of the offers, what would be left of the node, and what
    /// there is for executions.
    left: Vec<Column>,
    room: Vec<Column>,
    base: Vec<Column>,
    /// By block: nodes that take something.
    open: Vec<u64>,
    most: Vec<Signed>,
    n_stale: Vec<u8>,
    log: Vec<u32>,
    /// By node: where the log names it last, plus one.
    named: Vec<usize>,
    pub(super) generation: u64,
    is_unsorted: bool,
    n_gone: usize,
    /// The most of each resource that any node ever had.
    largest: Signed,
    /// Whether what is given away is kept by priority, for reservations.
    keeps_holds: bool,
    /// What is known of requests and empty nodes.
    ever: HashMap<(Need, RuleId), Ever>,
    /// How often a node came, or has more or other things than before.
    n_grown: u64,
    /// By rule.
    suited: Vec<Suited>,
    /// Executions of a job type on nodes of a group.
    spread: HashMap<(JobTypeId, u16), u32>,
}

fn plus(sum: &mut Signed, amount: &Signed) {
    sum.iter_mut().zip(amount).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
}

fn less(rest: &mut Signed, amount: &Signed) {
    rest.iter_mut().zip(amount).for_each(|(rest, less)| *rest = rest.saturating_sub(*less));
}

fn hold(holds: &mut Vec<Hold>, priority: i32, amount: &Signed) {
    match holds.iter_mut().find(|hold| hold.priority == priority) {
        Some(hold) => plus(&mut hold.sum, amount),
        None => holds.push(Hold { priority, sum: *amount }),
    }
}

impl Fleet {
    pub(super) fn new(n_resources: usize, keeps_holds: bool) -> Self {
        Self { n_resources, keeps_holds, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn n_blocks(&self) -> usize {
        self.open.len()
    }

    pub(super) fn id(&self, at: usize) -> NodeId {
        self.slots[at].id
    }

    pub(super) fn find(&self, id: NodeId) -> Option<usize> {
        if self.is_unsorted {
            return self.slots.iter().position(|slot| slot.id == id);
        }
        self.slots.binary_search_by_key(&id, |slot| slot.id).ok()
    }

    /// What a node has by the slots of the queue, and what of it who holds.
    fn row_of(&self, node: &SchedulingNode, queue: &Queue) -> (Row, Vec<Hold>) {
        // What a node does not have at all is not taken from it either.
        let dense = |set: &NodeResources, has: &[bool; RESOURCES_MAX]| {
            let mut amounts = amounts(&queue.lookup(set));
            amounts.iter_mut().zip(has).filter(|(_, has)| !**has).for_each(|(amount, _)| *amount = 0);
            amounts
        };
        let (offers, has) = (has(queue, &node.offered), has(queue, &node.watermark));
        let (mut row, mut holds) = (Row::default(), Vec::new());
        row.left = dense(&node.offered, &offers);
        less(&mut row.left, &dense(&node.given, &offers));
        row.room = dense(&node.watermark, &has);
        less(&mut row.room, &dense(&node.other, &has));
        row.base = row.room;
        less(&mut row.room, &dense(&node.given, &has));
        for share in &node.running {
            let asks = dense(&share.asks, &has);
            if self.keeps_holds {
                hold(&mut holds, share.priority, &asks);
            }
            if share.is_current {
                less(&mut row.room, &asks);
            }
        }
        (row, holds)
    }

    /// Takes note of how a node stands. Cost: a search; a new node that is not the last one is sorted
    /// in before the next pass.
    pub(super) fn set(&mut self, node: &SchedulingNode, queue: &Queue, rules: &Rules) {
        let (mut row, holds) = self.row_of(node, queue);
        self.note(&node.watermark, queue);
        let is_spread = |job_type: &JobTypeId| rules.get(rules.of(*job_type)).spread_over().is_some();
        let running = node.running.iter().filter_map(|share| share.job_type);
        let spread: Vec<JobTypeId> = running.filter(is_spread).collect();
        let gpus = node.gpus.clone().map(|slots| Box::new(Gpus { slots, left: row.left[GPUS] }));
        row.left[GPUS] = gpus.as_ref().map_or(row.left[GPUS], |gpus| gpus.column());
        let slot =
            Slot { id: node.id, is_ready: node.is_ready, is_closed: false, holds, spread: Vec::new(), gpus };
        let at = self.find(node.id).unwrap_or_else(|| {
            self.is_unsorted |= self.slots.last().is_some_and(|last| last.id > node.id);
            self.push(slot.clone())
        });
        let is_more = |(have, had): (&i64, &i64)| have > had;
        let has_grown =
            row.base.iter().zip(&self.base(at)).any(is_more) || node.is_ready != self.slots[at].is_ready;
        self.n_grown += u64::from(has_grown || rules.iter().len() > 1);
        self.count_spread(at, rules, -1);
        self.slots[at] = Slot { spread, ..slot };
        self.suit(at, &node.attributes, rules);
        self.count_spread(at, rules, 1);
        self.put(at, &row);
        self.change(at);
    }

    /// Puts nodes in order, forgets those that are gone, and counts so many resources from now on. What
    /// was given away since a node was set stays given away.
    pub(super) fn rebuild(
        &mut self,
        n_resources: usize,
        nodes: &BTreeMap<NodeId, SchedulingNode>,
        (queue, rules): (&Queue, &Rules),
    ) {
        let n_before = self.n_resources;
        let mut all: Vec<(Slot, Row)> = Vec::with_capacity(self.slots.len());
        for at in 0..self.slots.len() {
            let (mut slot, mut row) = (self.slots[at].clone(), self.row(at));
            let Some(node) = nodes.get(&slot.id) else { continue };
            // Nobody asked for the others before, so nothing of them was given away.
            let (fresh, holds) = self.row_of(node, queue);
            row.left[n_before..].copy_from_slice(&fresh.left[n_before..]);
            row.room[n_before..].copy_from_slice(&fresh.room[n_before..]);
            row.base[n_before..].copy_from_slice(&fresh.base[n_before..]);
            for fresh in holds {
                let known = slot.holds.iter_mut().find(|hold| hold.priority == fresh.priority);
                if let Some(known) = known {
                    known.sum[n_before..].copy_from_slice(&fresh.sum[n_before..]);
                }
            }
            if let Some(gpus) = slot.gpus.as_ref().filter(|_| n_before <= GPUS) {
                row.left[GPUS] = gpus.column();
            }
            slot.is_closed = false;
            all.push((slot, row));
        }
        all.sort_by_key(|(slot, _)| slot.id);
        let generation = self.generation + 1;
        let mut suited = std::mem::take(&mut self.suited);
        for suited in &mut suited {
            (suited.suits, suited.unmet, suited.group) = (Vec::new(), Vec::new(), Vec::new());
        }
        let (largest, keeps_holds) = (self.largest, self.keeps_holds);
        let n_grown = self.n_grown + 1;
        let spread = std::mem::take(&mut self.spread);
        *self = Self {
            n_resources,
            generation,
            largest,
            keeps_holds,
            n_grown,
            suited,
            spread,
            ..Self::default()
        };
        for (slot, row) in all {
            let node = &nodes[&slot.id];
            self.note(&node.watermark, queue);
            let at = self.push(slot);
            self.suit(at, &node.attributes, rules);
            self.put(at, &row);
            self.change(at);
        }
        self.log.clear();
        self.named.fill(0);
    }

    /// Takes note of which rules a node meets.
    fn suit(&mut self, at: usize, attributes: &BTreeMap<String, String>, rules: &Rules) {
        let (block, bit) = (at / BLOCK_LEN, 1 << (at % BLOCK_LEN));
        self.suited.resize_with(rules.iter().len(), Suited::default);
        for (rule, suited) in rules.iter().zip(&mut self.suited).filter(|(rule, _)| !rule.is_plain()) {
            suited.suits.resize(self.open.len(), 0);
            suited.unmet.resize(self.slots.len(), 0);
            suited.group.resize(self.slots.len(), 0);
            let unmet = rule.unmet(attributes);
            if unmet.is_some() {
                suited.suits[block] |= bit;
            } else {
                suited.suits[block] &= !bit;
            }
            suited.unmet[at] = u8::try_from(unmet.unwrap_or(0)).unwrap_or(u8::MAX);
            let value = rule.spread_over().and_then(|attribute| attributes.get(attribute));
            suited.group[at] = value.map_or(0, |value| {
                let next = u16::try_from(suited.groups.len() + 1).unwrap_or(u16::MAX);
                *suited.groups.entry(value.clone()).or_insert(next)
            });
        }
    }

    /// Counts the executions of a node that are to be spread, in or out.
    fn count_spread(&mut self, at: usize, rules: &Rules, sign: i32) {
        for job_type in &self.slots[at].spread {
            let rule = usize::from(rules.of(*job_type));
            let group = self.suited.get(rule).and_then(|suited| suited.group.get(at));
            let n = self.spread.entry((*job_type, group.copied().unwrap_or(0))).or_default();
            *n = n.saturating_add_signed(sign);
        }
    }

    /// An execution that is to be spread goes to a node.
    pub(super) fn spread_to(&mut self, at: usize, job_type: JobTypeId, rule: RuleId) {
        *self.spread.entry((job_type, self.group(at, rule))).or_default() += 1;
        self.slots[at].spread.push(job_type);
    }

    /// The group of a node, and how many executions of a job type its group has.
    pub(super) fn n_spread(&self, at: usize, job_type: JobTypeId, rule: RuleId) -> u32 {
        self.spread.get(&(job_type, self.group(at, rule))).copied().unwrap_or(0)
    }

    fn group(&self, at: usize, rule: RuleId) -> u16 {
        self.suited.get(usize::from(rule)).and_then(|suited| suited.group.get(at)).copied().unwrap_or(0)
    }

    /// The nodes of a block that meet a rule.
    pub(super) fn suiting(&self, block: usize, rule: RuleId) -> u64 {
        let suited = self.suited.get(usize::from(rule)).filter(|suited| !suited.suits.is_empty());
        suited.map_or(u64::MAX, |suited| suited.suits.get(block).copied().unwrap_or(0))
    }

    /// Soft demands of a rule that a node does not meet.
    pub(super) fn unmet(&self, at: usize, rule: RuleId) -> u32 {
        let unmet = self.suited.get(usize::from(rule)).and_then(|suited| suited.unmet.get(at));
        unmet.copied().unwrap_or(0).into()
    }

    /// Takes note of what a node has in all.
    pub(super) fn note(&mut self, watermark: &NodeResources, queue: &Queue) {
        for (largest, have) in self.largest.iter_mut().zip(amounts(&queue.lookup(watermark))) {
            *largest = (*largest).max(have);
        }
    }

    /// Forgets a node.
    pub(super) fn remove(&mut self, id: NodeId) {
        if let Some(at) = self.find(id) {
            self.n_gone += usize::from(self.slots[at].is_ready || !self.slots[at].is_closed);
            (self.slots[at].is_ready, self.slots[at].is_closed) = (false, true);
            self.change(at);
        }
    }

    fn push(&mut self, slot: Slot) -> usize {
        let at = self.slots.len();
        self.slots.push(slot);
        self.named.push(0);
        if at.is_multiple_of(BLOCK_LEN) {
            for columns in [&mut self.left, &mut self.room, &mut self.base] {
                columns.extend(std::iter::repeat_n([0; BLOCK_LEN], self.n_resources));
            }
            self.open.push(0);
            self.most.push([i64::MIN; RESOURCES_MAX]);
            self.n_stale.push(0);
        }
        at
    }

    fn put(&mut self, at: usize, row: &Row) {
        let (first, column) = (at / BLOCK_LEN * self.n_resources, at % BLOCK_LEN);
        for slot in 0..self.n_resources {
            self.left[first + slot][column] = row.left[slot];
            self.room[first + slot][column] = row.room[slot];
            self.base[first + slot][column] = row.base[slot];
        }
    }

    fn row(&self, at: usize) -> Row {
        Row { left: self.left(at), room: self.room(at), base: self.base(at) }
    }

    #[inline]
    fn gather(&self, columns: &[Column], at: usize) -> Signed {
        let (first, column) = (at / BLOCK_LEN * self.n_resources, at % BLOCK_LEN);
        let mut row = [0; RESOURCES_MAX];
        for (amount, of_resource) in row.iter_mut().zip(&columns[first..first + self.n_resources]) {
            *amount = of_resource[column];
        }
        row
    }

    /// What would be left of the nodes of a block.
    pub(super) fn room_of(&self, block: usize) -> &[Column] {
        &self.room[block * self.n_resources..(block + 1) * self.n_resources]
    }

    /// What is left of a node's offers.
    #[inline]
    pub(super) fn left(&self, at: usize) -> Signed {
        self.gather(&self.left, at)
    }

    /// What would be left of a node if all that is offered and all that ends were counted.
    #[inline]
    pub(super) fn room(&self, at: usize) -> Signed {
        self.gather(&self.room, at)
    }

    /// What a node has for executions in all.
    pub(super) fn base(&self, at: usize) -> Signed {
        self.gather(&self.base, at)
    }

    /// What a node has for an execution of `priority` once all that are less important have ended.
    pub(super) fn room_for(&self, at: usize, priority: i32) -> Signed {
        let mut room = self.base(at);
        for hold in self.slots[at].holds.iter().filter(|hold| hold.priority <= priority) {
            less(&mut room, &hold.sum);
        }
        room
    }

    /// The nodes of a block that take executions, as bits.
    pub(super) fn open_bits(&self, block: usize) -> u64 {
        self.open[block]
    }

    #[inline]
    pub(super) fn is_open(&self, at: usize) -> bool {
        self.open[at / BLOCK_LEN] >> (at % BLOCK_LEN) & 1 == 1
    }

    /// Brings what hangs on a node up to date, and tells whoever reads the log.
    fn change(&mut self, at: usize) {
        let (block, bit) = (at / BLOCK_LEN, 1 << (at % BLOCK_LEN));
        let slot = &self.slots[at];
        if slot.is_ready && !slot.is_closed {
            self.open[block] |= bit;
            let left = self.left(at);
            for (most, have) in self.most[block].iter_mut().zip(left) {
                *most = (*most).max(have);
            }
        } else {
            self.open[block] &= !bit;
        }
        self.lost(block);
        self.name(at);
    }

    fn name(&mut self, at: usize) {
        self.log.push(u32::try_from(at).expect("at most NODES_MAX"));
        self.named[at] = self.log.len();
    }

    /// A node of a block may have less than before.
    fn lost(&mut self, block: usize) {
        self.n_stale[block] += 1;
        if self.n_stale[block] >= STALE_MAX {
            self.n_stale[block] = 0;
            let first = block * self.n_resources;
            let mut most = [i64::MIN; RESOURCES_MAX];
            for (most, column) in most.iter_mut().zip(&self.left[first..first + self.n_resources]) {
                for (at, have) in column.iter().enumerate() {
                    let have = if self.open[block] >> at & 1 == 1 { *have } else { i64::MIN };
                    *most = (*most).max(have);
                }
            }
            self.most[block] = most;
        }
    }

    /// Gives an execution what it asks for.
    pub(super) fn give(&mut self, at: usize, asks: &Signed, priority: i32) {
        let (first, column) = (at / BLOCK_LEN * self.n_resources, at % BLOCK_LEN);
        for (slot, asks) in asks.iter().enumerate().take(self.n_resources) {
            self.left[first + slot][column] -= asks;
            self.room[first + slot][column] -= asks;
        }
        if asks[GPUS] > 0
            && let Some(gpus) = &mut self.slots[at].gpus
        {
            self.left[first + GPUS][column] = gpus.take(asks[GPUS]);
        }
        if self.keeps_holds {
            hold(&mut self.slots[at].holds, priority, asks);
        }
        self.lost(at / BLOCK_LEN);
        self.name(at);
    }

    /// What is left of a node's offers now.
    pub(super) fn set_left(&mut self, at: usize, left: &Signed, gpus: Option<GpuSlots>) {
        let (first, column) = (at / BLOCK_LEN * self.n_resources, at % BLOCK_LEN);
        for (slot, have) in left.iter().enumerate().take(self.n_resources) {
            self.left[first + slot][column] = *have;
        }
        self.slots[at].gpus = gpus.map(|slots| Box::new(Gpus { slots, left: left[GPUS] }));
        if let Some(gpus) = self.slots[at].gpus.as_ref().filter(|_| self.n_resources > GPUS) {
            self.left[first + GPUS][column] = gpus.column();
        }
        self.change(at);
    }

    /// Closes a node until it is opened again.
    pub(super) fn close(&mut self, at: usize) {
        self.slots[at].is_closed = true;
        self.change(at);
    }

    /// Opens a node that was closed.
    pub(super) fn reopen(&mut self, at: usize) {
        self.slots[at].is_closed = false;
        self.change(at);
    }

    /// The nodes of a block that have what is needed, as bits. Cost: a line where the block has not
    /// enough of one resource, else a pass over its columns.
    #[inline]
    pub(super) fn covering(&self, block: usize, need: &Need) -> u64 {
        let is_short =
            self.most[block].iter().zip(&need.0).take(self.n_resources).any(|(most, need)| most < need);
        if is_short {
            return 0;
        }
        let first = block * self.n_resources;
        let bits = self.machine.covering(&self.left[first..first + self.n_resources], &need.0);
        bits & self.open[block]
    }

    /// Whether a node takes executions and has what is needed.
    #[inline]
    pub(super) fn covers(&self, at: usize, need: &Need) -> bool {
        self.is_open(at) && fits(&self.left(at), need, self.n_resources)
    }

    /// Whether what is needed is there on some node that takes executions and meets the rule, once
    /// nothing runs there. Cost: a look-up, and all nodes where one of them grew since.
    pub(super) fn could_ever(&mut self, need: &Need, rule: RuleId) -> bool {
        let covers = |fleet: &Self, at: usize| {
            let is_there = at < fleet.len() && fleet.is_ready(at) && fleet.suits(at, rule);
            is_there && fits(&fleet.base(at), need, fleet.n_resources)
        };
        if let Some(known) = self.ever.get(&(*need, rule)) {
            match *known {
                Ever::On(at) if covers(self, at as usize) => return true,
                Ever::No(n_grown) if n_grown == self.n_grown => return false,
                _ => {}
            }
        }
        let found = (0..self.len()).find(|at| covers(self, *at));
        let ever = found
            .map_or(Ever::No(self.n_grown), |at| Ever::On(u32::try_from(at).expect("at most NODES_MAX")));
        if self.ever.len() >= EVER_MAX {
            self.ever.clear();
        }
        self.ever.insert((*need, rule), ever);
        found.is_some()
    }

    /// Whether a node is there and takes new executions, closed or not.
    pub(super) fn is_ready(&self, at: usize) -> bool {
        self.slots[at].is_ready
    }

    /// Whether a node has what is needed, closed or not.
    pub(super) fn has(&self, at: usize, need: &Need) -> bool {
        fits(&self.left(at), need, self.n_resources)
    }

    /// Whether a node meets a rule.
    pub(super) fn suits(&self, at: usize, rule: RuleId) -> bool {
        self.suiting(at / BLOCK_LEN, rule) >> (at % BLOCK_LEN) & 1 == 1
    }

    /// The position of the log.
    pub(super) fn position(&self) -> usize {
        self.log.len()
    }

    /// The nodes that changed since a position, each once.
    pub(super) fn changed_since(&self, position: usize) -> impl Iterator<Item = usize> + '_ {
        let changes = self.log[position..].iter().zip(position + 1..);
        changes
            .map(|(at, position)| (*at as usize, position))
            .filter_map(|(at, position)| (self.named[at] == position).then_some(at))
    }

    /// Whether it has to be built anew: nodes are in disorder, more than a quarter is gone, or the log is
    /// long.
    pub(super) fn is_untidy(&self) -> bool {
        let is_long = self.log.len() > 16 * self.slots.len().max(1_000);
        self.is_unsorted || self.n_gone * 4 > self.slots.len() || is_long
    }

    /// Holds F1 and F2 against what is there.
    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        assert!(self.is_unsorted || self.slots.is_sorted_by(|a, b| a.id < b.id), "F1");
        for at in (0..self.len()).filter(|at| self.is_open(*at)) {
            let is_less = |(have, most): (&i64, &i64)| have <= most;
            let left = self.left(at);
            assert!(left.iter().zip(&self.most[at / BLOCK_LEN]).take(self.n_resources).all(is_less), "F2");
        }
    }

    /// The most of each resource that any node ever had.
    pub(super) fn largest(&self) -> Amounts {
        Amounts(self.largest.map(|most| u64::try_from(most).unwrap_or(0)))
    }

    /// The most of each resource that any open node has left.
    pub(super) fn envelope(&self) -> Amounts {
        let mut most = [0_u64; RESOURCES_MAX];
        for (most, slot) in most.iter_mut().zip(0..self.n_resources) {
            let have = self.most.iter().map(|of_block| of_block[slot]).max().unwrap_or(0);
            *most = u64::try_from(have).unwrap_or(0);
        }
        Amounts(most)
    }
}

/// Whether `have` covers what is needed.
#[inline]
pub(super) fn fits(have: &Signed, need: &Need, n_resources: usize) -> bool {
    have.iter().zip(&need.0).take(n_resources).all(|(have, need)| have >= need)
}
