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

/// The priorities there are: small ones, the default, and both ends.
const PRIORITIES: [i32; 8] = [0, 1, -1, 2, -2, 100, i32::MIN, i32::MAX];

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

/// One thing that happens. Numbers that choose are taken modulo what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `asks`: as the type says where there is none. `is_more`: the next step goes in the same
    /// submission. `later`: how far the clock moves, also backwards.
    Submit {
        kind: usize,
        count: u8,
        priority: i32,
        asks: Option<Asks>,
        growth: Growth,
        later: i8,
        is_more: bool,
    },
    /// Four times `free` is offered; the picks wait in a guard.
    Offer {
        guard: usize,
        free: Asks,
    },
    /// The declared node is offered.
    OfferDeclared {
        guard: usize,
    },
    /// Four times `total` is declared.
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
    /// 0: none.
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
    /// With open guards when it is closed, without when it is dropped. Nothing without a store.
    Reopen {
        is_closed: bool,
    },
}

const GROWTHS: [Growth; 4] = [Growth::None, Growth::Cpus, Growth::Mem, Growth::MemAgainstDisk];
const KEEPS: [Keep; 4] = [Keep::All, Keep::None, Keep::EverySecond, Keep::HandOver];
const HOWS: [How; 7] = [How::Well, How::Badly, How::Refused, How::Stale, How::Lost, How::Killed, How::Runs];
const MODES: [Option<QueueMode>; 3] = [None, Some(QueueMode::Fifo), Some(QueueMode::Lifo)];
/// How far the clock moves.
const LATERS: [i8; 8] = [0, 1, 2, -1, 0, 5, 100, -3];

/// The first byte of a record, modulo 32, and what it means: often what happens often.
mod op {
    pub(super) const N: u8 = 32;
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
}

fn nth<T: Copy>(all: &[T], byte: u8) -> T {
    all[usize::from(byte) % all.len()]
}

fn place<T: PartialEq>(all: &[T], one: &T) -> u8 {
    let at = all.iter().position(|other| other == one).expect("one of them");
    u8::try_from(at).expect("few")
}

impl Step {
    fn read(record: [u8; STEP_BYTES]) -> Self {
        let [op, a, b, c, flags, asks @ ..] = record;
        let asks = Asks::read(asks);
        let kind = usize::from(a) % N_KINDS;
        let guard = usize::from(a) % N_GUARDS;
        match op % op::N {
            op::SUBMIT..op::OFFER => Self::Submit {
                kind,
                count: b % COUNT_MAX + 1,
                priority: nth(&PRIORITIES, c),
                asks: (flags & 1 == 0).then_some(asks),
                growth: nth(&GROWTHS, flags >> 1),
                later: nth(&LATERS, flags >> 3),
                is_more: flags >> 6 & 1 == 1,
            },
            op::OFFER..op::OFFER_DECLARED => Self::Offer { guard, free: asks },
            op::OFFER_DECLARED..op::DECLARE => Self::OfferDeclared { guard },
            op::DECLARE..op::SETTLE => Self::Declare { total: asks },
            op::SETTLE..op::CANCEL => Self::Settle { guard, keep: nth(&KEEPS, b) },
            op::CANCEL..op::PRIORITY => Self::Cancel { which: a, count: b % COUNT_MAX + 1 },
            op::PRIORITY..op::PAUSE => {
                Self::Priority { which: a, count: b % COUNT_MAX + 1, to: nth(&PRIORITIES, c) }
            }
            op::PAUSE..op::LIMIT => Self::Pause { kind, is_paused: b & 1 == 1 },
            op::LIMIT..op::MODE => Self::Limit { kind, limit: b % 8 },
            op::MODE..op::END => {
                let kind = usize::from(a) % (N_KINDS + 1);
                Self::Mode { kind: (kind < N_KINDS).then_some(kind), mode: nth(&MODES, b) }
            }
            op::END..op::REOPEN => Self::End { which: a, how: nth(&HOWS, b) },
            _ => Self::Reopen { is_closed: a & 1 == 1 },
        }
    }

    /// Its record. Without what reading leaves out.
    pub(crate) fn write(&self) -> [u8; STEP_BYTES] {
        let small = |n: usize| u8::try_from(n).expect("few");
        let record = |head: [u8; 5], asks: Asks| {
            let mut record = [0; STEP_BYTES];
            record[..5].copy_from_slice(&head);
            record[5..].copy_from_slice(&asks.write());
            record
        };
        let plain = |head: [u8; 4]| record([head[0], head[1], head[2], head[3], 0], Asks::default());
        match *self {
            Self::Submit { kind, count, priority, asks, growth, later, is_more } => {
                let flags = u8::from(asks.is_none())
                    | place(&GROWTHS, &growth) << 1
                    | place(&LATERS, &later) << 3
                    | u8::from(is_more) << 6;
                let head = [op::SUBMIT, small(kind), count - 1, place(&PRIORITIES, &priority), flags];
                record(head, asks.unwrap_or_default())
            }
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
            Self::Mode { kind, mode } => {
                plain([op::MODE, small(kind.unwrap_or(N_KINDS)), place(&MODES, &mode), 0])
            }
            Self::End { which, how } => plain([op::END, which, place(&HOWS, &how), 0]),
            Self::Reopen { is_closed } => plain([op::REOPEN, u8::from(is_closed), 0, 0]),
        }
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
