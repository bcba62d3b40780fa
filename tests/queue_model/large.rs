//! A queue of twenty thousand entries in three hundred lanes, and two hundred thousand operations on
//! it: each decision against a walk over everything, in order, until something fits.
//!
//! What the model keeps per type is sorted by the type's own direction, so a walk needs the heads of
//! the types only, and a switch of direction sorts a type anew. Seeded: every run is the same.

use std::collections::BTreeMap;

use weighbridge::{
    Amounts, ConstraintSetId, Entry, ExeId, JobId, JobTypeId, NodeResources, Quantity, Queue, QueueMode,
    TenantId, Timestamp,
};

const N_OPERATIONS: usize = 200_000;
const N_KEPT: usize = 20_000;
const N_TYPES: usize = 6;

/// Operations between two looks at everything, and at the place of one.
const LOOK_PERIOD: usize = 10_000;
const PLACE_PERIOD: usize = 500;

/// Operations between two switches of a direction, and lanes turned with each operation in between.
const TURN_PERIOD: usize = 1_500;
const TURN_LANES: usize = 7;

/// Priorities, the middle ones often.
const PRIORITIES: [i32; 8] = [0, 0, 1, 1, 2, -1, i32::MAX, i32::MIN];

/// Most that are picked, and that run, at once.
const PICKED_MAX: usize = 40;
const RUNNING_MAX: usize = 200;

/// Splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).expect("below n")
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn is_one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// Whole cores, MiB of memory and disk, and graphics processors.
type Asks = [u64; 4];

/// What is compared to tell which comes first, as a direction sees it.
type Key = (i32, i64, i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item {
    id: u64,
    kind: usize,
    priority: i32,
    queued: i64,
    asks: Asks,
}

impl Item {
    fn key(&self, mode: QueueMode) -> Key {
        let id = i64::try_from(self.id).expect("small");
        match mode {
            QueueMode::Fifo => (self.priority, self.queued, id),
            QueueMode::Lifo => (self.priority, -self.queued, -id),
        }
    }

    fn fits(&self, free: &Asks) -> bool {
        // Spelled out, as it is asked a hundred million times by a debug build.
        let ([cpus, mem, disk, gpus], free) = (self.asks, *free);
        mem <= free[1] && disk <= free[2] && cpus <= free[0] && gpus <= free[3]
    }
}

fn job_type(kind: usize) -> JobTypeId {
    JobTypeId(u32::try_from(kind).expect("few") + 1)
}

fn resources(asks: Asks) -> NodeResources {
    let [cpus, mem, disk, gpus] = asks;
    let cpus = NodeResources::new().with("cpus", Quantity::whole(cpus)).expect("a name");
    cpus.mem_mib(mem).disk_mib(disk).gpus(gpus)
}

#[derive(Clone, Copy, Default)]
struct Kind {
    mode: Option<QueueMode>,
    is_paused: bool,
    limit: Option<usize>,
    n_taken: usize,
}

/// What waits, by type and in the type's order.
#[derive(Default)]
struct Simple {
    mode: QueueMode,
    kinds: [Kind; N_TYPES],
    lists: [BTreeMap<Key, Item>; N_TYPES],
    /// Ids in no order, to choose from, with the place of each here.
    ids: Vec<u64>,
    by_id: BTreeMap<u64, (Item, usize)>,
}

impl Simple {
    fn mode_of(&self, kind: usize) -> QueueMode {
        self.kinds[kind].mode.unwrap_or(self.mode)
    }

    fn insert(&mut self, item: Item) {
        let key = item.key(self.mode_of(item.kind));
        assert_eq!(self.lists[item.kind].insert(key, item), None);
        assert_eq!(self.by_id.insert(item.id, (item, self.ids.len())), None);
        self.ids.push(item.id);
    }

    fn remove(&mut self, id: u64) -> Option<Item> {
        let (item, at) = self.by_id.remove(&id)?;
        self.ids.swap_remove(at);
        if let Some(moved) = self.ids.get(at) {
            self.by_id.get_mut(moved).expect("it is there").1 = at;
        }
        self.lists[item.kind].remove(&item.key(self.mode_of(item.kind)))
    }

    fn set_mode(&mut self, kind: Option<usize>, mode: Option<QueueMode>) {
        match kind {
            Some(kind) => self.kinds[kind].mode = mode,
            None => self.mode = mode.unwrap_or_default(),
        }
        for kind in 0..N_TYPES {
            let mode = self.mode_of(kind);
            let items = std::mem::take(&mut self.lists[kind]).into_values();
            self.lists[kind] = items.map(|item| (item.key(mode), item)).collect();
        }
    }

    /// Where heads of types are merged, an entry waits for those of its type that are before it: it
    /// comes when the last of them by the global direction has come. That one's key.
    fn turn_of(&self, item: &Item) -> Key {
        let list = self.lists[item.kind].values().take_while(|other| other.id != item.id);
        list.map(|other| other.key(self.mode)).fold(item.key(self.mode), Key::max)
    }

    /// The first one in order that fits: of each type the first in its own order, and of these the
    /// one whose turn comes first.
    fn first_fit(&self, free: &Asks) -> Option<Item> {
        let mut best: Option<(Key, &Item)> = None;
        for (at, (kind, list)) in self.kinds.iter().zip(&self.lists).enumerate() {
            if kind.is_paused || kind.limit.is_some_and(|limit| kind.n_taken >= limit) {
                continue;
            }
            let mut turn = (i32::MIN, i64::MIN, i64::MIN);
            let is_own = self.mode_of(at) != self.mode;
            let end = best.map_or((i32::MAX, i64::MAX, i64::MAX), |(least, _)| least);
            for (key, item) in list {
                let key = if is_own { item.key(self.mode) } else { *key };
                if key > turn {
                    turn = key;
                }
                if turn > end {
                    break;
                }
                if item.fits(free) {
                    best = Some((turn, item));
                    break;
                }
            }
        }
        best.map(|(_, item)| *item)
    }

    fn n_before(&self, item: &Item) -> usize {
        let end = self.turn_of(item);
        let n_before = |list: &BTreeMap<Key, Item>| {
            list.values().take_while(|other| other.id != item.id && other.key(self.mode) <= end).count()
        };
        self.lists.iter().map(n_before).sum()
    }

    /// All of it, in order: the heads of the types merged, one by one.
    fn order(&self) -> Vec<u64> {
        let mut lists = self.lists.each_ref().map(|list| list.values().peekable());
        let mut order = Vec::with_capacity(self.ids.len());
        loop {
            let heads = lists.iter_mut().filter_map(|list| list.peek().copied());
            let Some(first) = heads.min_by_key(|item| item.key(self.mode)) else { return order };
            order.push(first.id);
            lists[first.kind].next();
        }
    }
}

struct Run {
    random: Random,
    queue: Queue,
    simple: Simple,
    picked: Vec<Item>,
    running: Vec<Item>,
    /// By the time that each waits for.
    aside: BTreeMap<(i64, u64), Item>,
    /// Switches that are under way.
    turns: Vec<(Option<usize>, Option<QueueMode>)>,
    now: i64,
    last_id: u64,
    n_found: usize,
    n_none: usize,
}

impl Run {
    fn new_item(&mut self) -> Item {
        let random = &mut self.random;
        let kind = random.below(N_TYPES);
        let cpus = 1 + random.below(10) as u64;
        let gpus = random.of(&[0, 0, 1, 2, 4, 8]);
        let mem = 64 + random.below(8_000) as u64;
        // Of two types memory is traded against disk: there minima tell little.
        let disk = if kind < 2 { 9_000 - mem } else { 64 + random.below(8_000) as u64 };
        self.now += i64::from(random.is_one_in(3));
        self.last_id += 1;
        Item {
            id: self.last_id,
            kind,
            priority: random.of(&PRIORITIES),
            queued: self.now,
            asks: [cpus, mem, disk, gpus],
        }
    }

    fn entry(&mut self, item: &Item) -> Entry {
        Entry {
            id: ExeId(item.id),
            job: JobId(item.id),
            job_type: job_type(item.kind),
            tenant: TenantId(0),
            constraints: ConstraintSetId(0),
            priority: item.priority,
            queued: Timestamp(item.queued),
            asks: self.queue.intern(&resources(item.asks)),
        }
    }

    fn insert(&mut self) {
        let item = self.new_item();
        let entry = self.entry(&item);
        if self.random.is_one_in(20) {
            let until = self.now + i64::try_from(self.random.below(500)).expect("small");
            self.queue.defer(entry, Timestamp(until)).expect("room");
            self.aside.insert((until, item.id), item);
        } else {
            self.queue.insert(entry).expect("room");
            self.simple.insert(item);
        }
    }

    fn wake(&mut self) {
        let most = 1 + self.random.below(20);
        let mut n_due = 0;
        while n_due < most
            && let Some(first) = self.aside.first_entry().filter(|first| first.key().0 <= self.now)
        {
            self.simple.insert(first.remove());
            n_due += 1;
        }
        assert_eq!(self.queue.wake(Timestamp(self.now), most), n_due);
    }

    /// What some node has free: little of something, mostly, and at times too little for anything.
    fn free(&mut self) -> Asks {
        let random = &mut self.random;
        if random.is_one_in(60) {
            return [16, 30, 9_000, 8];
        }
        let cpus = random.of(&[1, 2, 4, 8, 16]);
        let [mem, disk] = [(); 2].map(|()| 200 + random.below(9_000) as u64);
        [cpus, mem, disk, random.of(&[0, 0, 1, 4])]
    }

    fn offer(&mut self) {
        let mut free = self.free();
        let mut left: Amounts = self.queue.lookup(&resources(free));
        for _ in 0..=self.random.below(2) {
            let wanted = self.simple.first_fit(&free);
            let first = self.queue.first_fit(&left);
            assert_eq!(first, wanted.map(|item| ExeId(item.id)), "of {free:?}: {wanted:?}");
            if self.picked.len() >= PICKED_MAX {
                return;
            }
            let found = self.queue.take_first_fit(&mut left);
            let Some(item) = wanted else {
                assert_eq!(found, None);
                self.n_none += 1;
                return;
            };
            assert_eq!(found, Some(self.entry(&item)));
            self.n_found += 1;
            self.simple.remove(item.id);
            self.simple.kinds[item.kind].n_taken += 1;
            self.picked.push(item);
            free.iter_mut().zip(item.asks).for_each(|(have, ask)| *have -= ask);
            assert_eq!(left, self.queue.lookup(&resources(free)));
        }
    }

    fn put_back(&mut self) {
        if let Some(item) = self.random_picked() {
            assert!(self.queue.put_back(ExeId(item.id)), "{item:?}");
            self.simple.kinds[item.kind].n_taken -= 1;
            self.simple.insert(item);
        }
    }

    fn random_picked(&mut self) -> Option<Item> {
        let at = self.random.below(self.picked.len().max(1));
        (!self.picked.is_empty()).then(|| self.picked.swap_remove(at))
    }

    fn launch(&mut self) {
        if let Some(item) = self.random_picked() {
            assert_eq!(self.queue.launch(ExeId(item.id)), Some(self.entry(&item)));
            self.running.push(item);
        }
        while self.running.len() > RUNNING_MAX {
            self.end();
        }
    }

    fn end(&mut self) {
        let at = self.random.below(self.running.len().max(1));
        if !self.running.is_empty() {
            let item = self.running.swap_remove(at);
            self.queue.end(job_type(item.kind));
            self.simple.kinds[item.kind].n_taken -= 1;
        }
    }

    fn cancel(&mut self) {
        if self.random.is_one_in(20)
            && let Some(item) = self.random_picked()
        {
            assert_eq!(self.queue.cancel(ExeId(item.id)), Some(self.entry(&item)));
            self.simple.kinds[item.kind].n_taken -= 1;
            return;
        }
        let id = self.random.of(&self.simple.ids);
        let item = self.simple.remove(id).expect("it waits");
        assert_eq!(self.queue.cancel(ExeId(id)), Some(self.entry(&item)));
        assert_eq!(self.queue.cancel(ExeId(id)), None);
    }

    fn set_priority(&mut self) {
        let id = self.random.of(&self.simple.ids);
        let priority = self.random.of(&PRIORITIES);
        let item = self.simple.remove(id).expect("it waits");
        self.simple.insert(Item { priority, ..item });
        assert!(self.queue.set_priority(ExeId(id), priority), "{item:?}");
    }

    fn hold(&mut self) {
        let kind = self.random.below(N_TYPES);
        if self.random.is_one_in(2) {
            let is_paused = self.random.is_one_in(4);
            self.simple.kinds[kind].is_paused = is_paused;
            self.queue.set_paused(job_type(kind), is_paused);
        } else {
            let limit = self.random.of(&[None, None, None, Some(0), Some(50)]);
            self.simple.kinds[kind].limit = limit;
            let limit = limit.map(|limit| u32::try_from(limit).expect("small"));
            self.queue.set_limit(job_type(kind), limit);
        }
    }

    /// Begins a switch of direction; the old order holds until it is done.
    fn begin_turn(&mut self) {
        let kind = self.random.below(N_TYPES + 1);
        let kind = (kind < N_TYPES).then_some(kind);
        let mode = self.random.of(&[None, Some(QueueMode::Fifo), Some(QueueMode::Lifo)]);
        self.queue.start_turn(kind.map(job_type), mode);
        self.turns.push((kind, mode));
    }

    fn go_on_turning(&mut self) {
        let is_done = self.queue.turn_some(TURN_LANES);
        assert!(is_done || !self.turns.is_empty(), "no switch is under way");
        if is_done {
            for (kind, mode) in std::mem::take(&mut self.turns) {
                self.simple.set_mode(kind, mode);
            }
        }
    }

    fn look_at_place(&mut self) {
        let id = self.random.of(&self.simple.ids);
        let item = self.simple.by_id[&id].0;
        assert_eq!(self.queue.position(ExeId(id)), Some(self.simple.n_before(&item)), "place of {id}");
        assert_eq!(self.queue.get(ExeId(id)), Some(self.entry(&item)));
    }

    fn look_at_all(&mut self) {
        self.queue.check_invariants();
        let found: Vec<u64> = self.queue.iter(&[]).map(|entry| entry.id.0).collect();
        let wanted = self.simple.order();
        let at = found.iter().zip(&wanted).position(|(found, wanted)| found != wanted);
        assert_eq!((at, found.len()), (None, wanted.len()), "the order differs from there on");
        for kind in 0..N_TYPES {
            let status = self.queue.type_status(job_type(kind));
            let items = || self.simple.lists[kind].values();
            let counts = (self.simple.lists[kind].len(), self.simple.kinds[kind].n_taken);
            assert_eq!((status.n_queued, status.n_taken as usize), counts, "type {kind}");
            assert_eq!(status.oldest, items().map(|item| Timestamp(item.queued)).min(), "type {kind}");
            assert_eq!(status.priority, items().map(|item| item.priority).min(), "type {kind}");
        }
        let counts = (self.picked.len(), self.aside.len());
        assert_eq!((self.queue.n_picked(), self.queue.n_deferred()), counts);
    }
}

#[test]
fn twenty_thousand_entries_give_what_a_walk_over_all_of_them_gives() {
    let mut run = Run {
        random: Random(7),
        queue: Queue::default(),
        simple: Simple::default(),
        picked: Vec::new(),
        running: Vec::new(),
        aside: BTreeMap::new(),
        turns: Vec::new(),
        now: 1_000,
        last_id: 0,
        n_found: 0,
        n_none: 0,
    };
    while run.simple.ids.len() < N_KEPT {
        run.insert();
    }
    for n in 1..=N_OPERATIONS {
        run.go_on_turning();
        match run.random.below(100) {
            // As many come as go.
            _ if run.simple.ids.len() < N_KEPT => run.insert(),
            0..22 => run.offer(),
            22..55 => run.cancel(),
            55..70 => run.set_priority(),
            70..78 => run.put_back(),
            78..88 => run.launch(),
            88..94 => run.end(),
            94..96 => run.hold(),
            _ => run.wake(),
        }
        // At times another one while the last is under way.
        if n.is_multiple_of(TURN_PERIOD) || n % TURN_PERIOD == 20 && run.random.is_one_in(3) {
            run.begin_turn();
        }
        if n.is_multiple_of(PLACE_PERIOD) {
            run.look_at_place();
        }
        if n.is_multiple_of(LOOK_PERIOD) {
            run.look_at_all();
        }
    }
    let (found, none) = (run.n_found, run.n_none);
    println!("{found} decisions found something, {none} nothing");
    assert!(found > 10_000 && none > 1_000, "{found} found something, {none} nothing");
    assert!(run.queue.n_lanes() > 250, "{} lanes", run.queue.n_lanes());
}
