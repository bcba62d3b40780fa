//! What may happen, and its form as bytes: a record of [`STEP_BYTES`] for each step.
//!
//! Records are of one length, so that taking one out, putting one in or changing a byte of one
//! leaves the others alone: that is what fuzzers and shrinkers do.

use weighbridge::QueueMode;

/// Bytes of one step.
pub(crate) const STEP_BYTES: usize = 12;

/// Most steps that are read; what comes after is left out, so that a run has an end.
pub(crate) const STEPS_MAX: usize = 64;

/// Job types of a run.
pub(crate) const N_KINDS: usize = 5;

/// Guards that may be open at once.
pub(crate) const N_GUARDS: usize = 2;

/// Names of resources, in the order of [`Amounts`].
pub(crate) const NAMES: [&str; 6] = ["cpus", "mem", "disk", "gpus", "licences", "slots"];

/// Most jobs of one step.
const COUNT_MAX: u8 = 32;

/// How many times as many as of a plain step come with a flood.
pub(crate) const FLOOD_FACTOR: usize = 96;

/// A limit that lets nothing through.
pub(crate) const LIMIT_NOTHING: u8 = 7;

/// The priorities there are: small ones, the default, and both ends.
pub(crate) const PRIORITIES: [i32; 8] = [0, 1, -1, 2, -2, 100, i32::MIN, i32::MAX];

/// Thousandths by name.
pub(crate) type Amounts = [u64; NAMES.len()];

/// An amount in two bytes, small and whole as a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) n: u8,
    /// Below [`SCALES`].
    pub(crate) scale: u8,
}

const SCALES: u8 = 16;

impl Amount {
    pub(crate) const fn whole(n: u8) -> Self {
        Self { n, scale: 8 }
    }

    pub(crate) fn thousandths(self) -> u64 {
        let n = u64::from(self.n);
        match self.scale {
            0..=7 => n % 8 * 1_000,
            8 | 9 => n * 1_000,
            10 => n,
            11 => n * 100,
            // GiB; GiB and a half MiB; PiB and a thousandth: what units count exactly, and not.
            12 => n * (1_000 << 10),
            13 => n * (1_000 << 10) + 500,
            14 => n * (1_000 << 30) + 1,
            _ => n * (u64::MAX / 255),
        }
    }

    fn read(bytes: [u8; 2]) -> Self {
        Self { n: bytes[0], scale: bytes[1] % SCALES }
    }
}

/// Amounts of everything that has a name here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asks {
    /// Of cpus, memory and disk.
    pub(crate) main: [Amount; 3],
    /// Whole ones of the others, at most 3 each.
    pub(crate) extra: [u8; 3],
}

impl Asks {
    pub(crate) fn of(cpus: u8, mem: u8, disk: u8) -> Self {
        Self { main: [cpus, mem, disk].map(Amount::whole), extra: [0; 3] }
    }

    pub(crate) fn amounts(&self) -> Amounts {
        let [cpus, mem, disk] = self.main.map(Amount::thousandths);
        let [gpus, licences, slots] = self.extra.map(|n| u64::from(n) * 1_000);
        [cpus, mem, disk, gpus, licences, slots]
    }

    fn read(bytes: [u8; 7]) -> Self {
        let [c, cs, m, ms, d, ds, extra] = bytes;
        let main = [[c, cs], [m, ms], [d, ds]].map(Amount::read);
        Self { main, extra: [extra & 3, extra >> 2 & 3, extra >> 4 & 3] }
    }

    fn write(&self) -> [u8; 7] {
        let [cpus, mem, disk] = self.main;
        let [gpus, licences, slots] = self.extra;
        let extra = gpus | licences << 2 | slots << 4;
        [cpus.n, cpus.scale, mem.n, mem.scale, disk.n, disk.scale, extra]
    }
}

/// How the jobs of one step differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Growth {
    /// Not at all: one request of many jobs.
    None,
    /// Each asks for a tenth of a core more than the one before, so each has a lane of its own.
    Cpus,
    /// Each asks for a MiB more.
    Mem,
    /// Each asks for a MiB more, and for a MiB less of disk.
    MemAgainstDisk,
}

/// What the jobs of one step are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Jobs {
    pub(crate) kind: usize,
    pub(crate) priority: i32,
    /// As the type says where there is none.
    pub(crate) asks: Option<Asks>,
    pub(crate) growth: Growth,
    /// Their ids count down from the largest there is. Not for the engine, which gives them itself.
    pub(crate) is_from_end: bool,
    /// Of another tenant and for other nodes. Not for the engine, which has one of each.
    pub(crate) is_other: bool,
}

/// What becomes of the picks of a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Committed.
    All,
    /// Put back.
    None,
    /// Those with an even id are committed.
    EverySecond,
    /// Handed over to the outbox.
    HandOver,
}

/// News of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Well,
    Badly,
    Refused,
    /// It names another launch than the one on record.
    Stale,
    /// It was lost with what ran it.
    Lost,
    /// Ended by an order that we did not give.
    Killed,
    /// It runs.
    Runs,
}

/// In which order a queue is emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drain {
    /// Canceled from the front of the order.
    Front,
    /// Canceled from its back.
    Back,
    /// Canceled by id.
    ById,
    /// Taken by a node with enough of everything, launched and ended, one by one.
    Offers,
}

/// One thing that happens. Numbers that choose are taken modulo what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `is_more`: the next step goes in the same submission. `later`: how far the clock moves, also
    /// backwards.
    Submit {
        jobs: Jobs,
        count: u8,
        later: i8,
        is_more: bool,
    },
    /// Four times `free` is offered; the picks wait in a guard.
    Offer {
        guard: usize,
        free: Asks,
    },
    /// The declared node is offered. For the bare queue: the first that nothing holds back is taken.
    OfferDeclared {
        guard: usize,
    },
    /// Four times `total` is declared. For the bare queue: that is asked about from now on.
    Declare {
        total: Asks,
    },
    Settle {
        guard: usize,
        keep: Keep,
    },
    /// As many of the jobs that wait, are picked or run, from one of them on.
    Cancel {
        which: u8,
        count: u8,
    },
    Priority {
        which: u8,
        count: u8,
        to: i32,
    },
    Pause {
        kind: usize,
        is_paused: bool,
    },
    /// 0: none. [`LIMIT_NOTHING`]: for the bare queue, not one may run.
    Limit {
        kind: usize,
        limit: u8,
    },
    Mode {
        kind: Option<usize>,
        mode: Option<QueueMode>,
    },
    End {
        which: u8,
        how: How,
    },
    /// With open guards when it is closed, without when it is dropped. Nothing without a store. For
    /// the bare queue: another one takes everything over, in order or from the end.
    Reopen {
        is_closed: bool,
    },
    /// Jobs that may not start before a time of their own. The engine takes them at once.
    Defer {
        jobs: Jobs,
        count: u8,
        until: i8,
    },
    /// The clock moves, and at most so many that are due come in. Nothing for the engine.
    Tick {
        later: i64,
        most: usize,
    },
    /// A switch of direction begins. For the engine it is made at once.
    Turn {
        kind: Option<usize>,
        mode: Option<QueueMode>,
    },
    /// It goes on by so many lanes. Nothing for the engine.
    TurnSome {
        n_lanes: usize,
    },
    /// One pick of a guard goes back.
    PutBack {
        guard: usize,
        which: u8,
    },
    /// Up to 32 times `count` of the jobs that wait, are picked or run, all over the place.
    CancelMany {
        which: u8,
        stride: u8,
        count: u8,
    },
    /// The place of one that waits is searched for, or the search goes on by so many lanes. Nothing
    /// for the engine.
    Seek {
        which: u8,
        n_lanes: usize,
    },
    /// [`FLOOD_FACTOR`] times `count` at once; `is_mixed`: of all priorities in turn.
    Flood {
        jobs: Jobs,
        count: u8,
        later: i8,
        is_mixed: bool,
    },
    /// All that wait in the queue, but so many, leave it. The engine cancels them.
    Drain {
        how: Drain,
        leave: u8,
    },
}

const GROWTHS: [Growth; 4] = [Growth::None, Growth::Cpus, Growth::Mem, Growth::MemAgainstDisk];
const KEEPS: [Keep; 4] = [Keep::All, Keep::None, Keep::EverySecond, Keep::HandOver];
const HOWS: [How; 7] = [How::Well, How::Badly, How::Refused, How::Stale, How::Lost, How::Killed, How::Runs];
const MODES: [Option<QueueMode>; 3] = [None, Some(QueueMode::Fifo), Some(QueueMode::Lifo)];
/// How far the clock moves.
const LATERS: [i8; 8] = [0, 1, 2, -1, 0, 5, 100, -3];
/// The same, up to both ends of time.
const LEAPS: [i64; 8] = [1, 2, 5, 100, 0, -3, i64::MIN, i64::MAX];
/// Entries that come in at once.
const MOSTS: [usize; 4] = [1, 2, 5, usize::MAX];
/// Lanes of one slice.
const SLICES: [usize; 8] = [0, 1, 2, 3, 7, 64, 65, 1_000];
const DRAINS: [Drain; 4] = [Drain::Front, Drain::Back, Drain::ById, Drain::Offers];

/// The first byte of a record, modulo `N`, and what it means: often what happens often. New ones are
/// put behind the others, so that what was written before reads as it did.
mod op {
    pub(super) const SUBMIT: u8 = 0;
    pub(super) const OFFER: u8 = 9;
    pub(super) const OFFER_DECLARED: u8 = 14;
    pub(super) const DECLARE: u8 = 16;
    pub(super) const SETTLE: u8 = 17;
    pub(super) const CANCEL: u8 = 21;
    pub(super) const PRIORITY: u8 = 22;
    pub(super) const PAUSE: u8 = 24;
    pub(super) const LIMIT: u8 = 25;
    pub(super) const MODE: u8 = 26;
    pub(super) const END: u8 = 27;
    pub(super) const REOPEN: u8 = 31;
    pub(super) const DEFER: u8 = 32;
    pub(super) const TICK: u8 = 36;
    pub(super) const TURN: u8 = 39;
    pub(super) const TURN_SOME: u8 = 42;
    pub(super) const PUT_BACK: u8 = 46;
    pub(super) const CANCEL_MANY: u8 = 49;
    pub(super) const SEEK: u8 = 51;
    pub(super) const DRAIN: u8 = 54;
    pub(super) const FLOOD: u8 = 55;
    pub(super) const N: u8 = 56;
}

fn nth<T: Copy>(all: &[T], byte: u8) -> T {
    all[usize::from(byte) % all.len()]
}

fn place<T: PartialEq>(all: &[T], one: &T) -> u8 {
    let at = all.iter().position(|other| other == one).expect("one of them");
    u8::try_from(at).expect("few")
}

fn small(n: usize) -> u8 {
    u8::try_from(n).expect("few")
}

fn bit(byte: u8, at: u8) -> bool {
    byte >> at & 1 == 1
}

/// Of a type or of all.
fn kind_or_all(byte: u8) -> Option<usize> {
    let kind = usize::from(byte) % (N_KINDS + 1);
    (kind < N_KINDS).then_some(kind)
}

impl Jobs {
    /// From the kind, from what `c` and `flags` say, and from amounts. Bits 3 to 5 of the flags are
    /// a time, bit 6 is the step's.
    fn read(kind: usize, c: u8, flags: u8, asks: Asks) -> Self {
        Self {
            kind,
            priority: nth(&PRIORITIES, c),
            asks: (!bit(flags, 0)).then_some(asks),
            growth: nth(&GROWTHS, flags >> 1),
            is_from_end: bit(c, 3),
            is_other: bit(c, 4),
        }
    }

    fn write(&self, op: u8, count: u8, time: i8, is_so: bool) -> [u8; STEP_BYTES] {
        let c = place(&PRIORITIES, &self.priority)
            | u8::from(self.is_from_end) << 3
            | u8::from(self.is_other) << 4;
        let flags = u8::from(self.asks.is_none())
            | place(&GROWTHS, &self.growth) << 1
            | place(&LATERS, &time) << 3
            | u8::from(is_so) << 6;
        record([op, small(self.kind), count - 1, c, flags], self.asks.unwrap_or_default())
    }
}

fn record(head: [u8; 5], asks: Asks) -> [u8; STEP_BYTES] {
    let mut record = [0; STEP_BYTES];
    record[..5].copy_from_slice(&head);
    record[5..].copy_from_slice(&asks.write());
    record
}

impl Step {
    fn read(record: [u8; STEP_BYTES]) -> Self {
        let [op, a, b, c, flags, asks @ ..] = record;
        let asks = Asks::read(asks);
        let kind = usize::from(a) % N_KINDS;
        let guard = usize::from(a) % N_GUARDS;
        let count = b % COUNT_MAX + 1;
        let later = nth(&LATERS, flags >> 3);
        let jobs = Jobs::read(kind, c, flags, asks);
        match op % op::N {
            op::SUBMIT..op::OFFER => Self::Submit { jobs, count, later, is_more: bit(flags, 6) },
            op::OFFER..op::OFFER_DECLARED => Self::Offer { guard, free: asks },
            op::OFFER_DECLARED..op::DECLARE => Self::OfferDeclared { guard },
            op::DECLARE..op::SETTLE => Self::Declare { total: asks },
            op::SETTLE..op::CANCEL => Self::Settle { guard, keep: nth(&KEEPS, b) },
            op::CANCEL..op::PRIORITY => Self::Cancel { which: a, count },
            op::PRIORITY..op::PAUSE => Self::Priority { which: a, count, to: nth(&PRIORITIES, c) },
            op::PAUSE..op::LIMIT => Self::Pause { kind, is_paused: bit(b, 0) },
            op::LIMIT..op::MODE => Self::Limit { kind, limit: b % (LIMIT_NOTHING + 1) },
            op::MODE..op::END => Self::Mode { kind: kind_or_all(a), mode: nth(&MODES, b) },
            op::END..op::REOPEN => Self::End { which: a, how: nth(&HOWS, b) },
            op::REOPEN..op::DEFER => Self::Reopen { is_closed: bit(a, 0) },
            op::DEFER..op::TICK => Self::Defer { jobs, count, until: later },
            op::TICK..op::TURN => Self::Tick { later: nth(&LEAPS, a), most: nth(&MOSTS, b) },
            op::TURN..op::TURN_SOME => Self::Turn { kind: kind_or_all(a), mode: nth(&MODES, b) },
            op::TURN_SOME..op::PUT_BACK => Self::TurnSome { n_lanes: nth(&SLICES, a) },
            op::PUT_BACK..op::CANCEL_MANY => Self::PutBack { guard, which: b },
            op::CANCEL_MANY..op::SEEK => Self::CancelMany { which: a, stride: c % 8, count },
            op::SEEK..op::DRAIN => Self::Seek { which: a, n_lanes: nth(&SLICES, b) },
            op::DRAIN..op::FLOOD => Self::Drain { how: nth(&DRAINS, a), leave: b },
            _ => Self::Flood { jobs, count, later, is_mixed: bit(flags, 6) },
        }
    }

    /// Its record. Without what reading leaves out.
    pub(crate) fn write(&self) -> [u8; STEP_BYTES] {
        let plain = |[op, a, b, c]: [u8; 4]| record([op, a, b, c, 0], Asks::default());
        let of = |kind: Option<usize>| small(kind.unwrap_or(N_KINDS));
        match *self {
            Self::Submit { jobs, count, later, is_more } => jobs.write(op::SUBMIT, count, later, is_more),
            Self::Offer { guard, free } => record([op::OFFER, small(guard), 0, 0, 0], free),
            Self::OfferDeclared { guard } => plain([op::OFFER_DECLARED, small(guard), 0, 0]),
            Self::Declare { total } => record([op::DECLARE, 0, 0, 0, 0], total),
            Self::Settle { guard, keep } => plain([op::SETTLE, small(guard), place(&KEEPS, &keep), 0]),
            Self::Cancel { which, count } => plain([op::CANCEL, which, count - 1, 0]),
            Self::Priority { which, count, to } => {
                plain([op::PRIORITY, which, count - 1, place(&PRIORITIES, &to)])
            }
            Self::Pause { kind, is_paused } => plain([op::PAUSE, small(kind), u8::from(is_paused), 0]),
            Self::Limit { kind, limit } => plain([op::LIMIT, small(kind), limit, 0]),
            Self::Mode { kind, mode } => plain([op::MODE, of(kind), place(&MODES, &mode), 0]),
            Self::End { which, how } => plain([op::END, which, place(&HOWS, &how), 0]),
            Self::Reopen { is_closed } => plain([op::REOPEN, u8::from(is_closed), 0, 0]),
            Self::Defer { jobs, count, until } => jobs.write(op::DEFER, count, until, false),
            Self::Tick { later, most } => plain([op::TICK, place(&LEAPS, &later), place(&MOSTS, &most), 0]),
            Self::Turn { kind, mode } => plain([op::TURN, of(kind), place(&MODES, &mode), 0]),
            Self::TurnSome { n_lanes } => plain([op::TURN_SOME, place(&SLICES, &n_lanes), 0, 0]),
            Self::PutBack { guard, which } => plain([op::PUT_BACK, small(guard), which, 0]),
            Self::CancelMany { which, stride, count } => plain([op::CANCEL_MANY, which, count - 1, stride]),
            Self::Seek { which, n_lanes } => plain([op::SEEK, which, place(&SLICES, &n_lanes), 0]),
            Self::Drain { how, leave } => plain([op::DRAIN, place(&DRAINS, &how), leave, 0]),
            Self::Flood { jobs, count, later, is_mixed } => jobs.write(op::FLOOD, count, later, is_mixed),
        }
    }

    /// Whether it makes thousands of entries at once.
    pub(crate) fn is_flood(&self) -> bool {
        matches!(self, Self::Flood { .. })
    }
}

/// The steps that `bytes` stand for, at most [`STEPS_MAX`]. Bytes that a last record lacks are
/// zeros.
pub(crate) fn steps_from(bytes: &[u8]) -> Vec<Step> {
    let full = |part: &[u8]| {
        let mut record = [0; STEP_BYTES];
        record[..part.len()].copy_from_slice(part);
        record
    };
    bytes.chunks(STEP_BYTES).take(STEPS_MAX).map(|part| Step::read(full(part))).collect()
}
