//! The reverse: what runs and may run on a node, and why the rest may not; and against a naive loop over all nodes.

use std::collections::BTreeMap;

use weighbridge::{LaneWhy, NodeVerdict, NodeWhy};

use super::*;

fn lines(why: &NodeWhy) -> Vec<String> {
    why.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn a_node_tells_what_may_run_there_and_what_keeps_the_rest() {
    let mut policy = Policy::default();
    let own = TypePolicy::default().with_constraint(demand("rack", Demand::Equals("b".to_owned())));
    policy.named.insert("picky".to_owned(), own);
    let mut site = Site::new(policy);
    let kinds = ["runs", "small", "large", "huge", "limited", "paused", "picky"];
    let needs = ["cpus:1", "cpus:1", "cpus:4", "cpus:9", "cpus:1", "cpus:1", "cpus:1"];
    let kinds: Vec<JobTypeId> = kinds.iter().zip(needs).map(|(name, needs)| site.kind(name, needs)).collect();
    site.node(1, "cpus:4,mem:512");
    site.limit(kinds[4], 1);
    site.engine.pause(kinds[5], true).expect("room").wait_durable(SYNC).expect("set");
    site.submit(kinds[0], 1);
    site.submit(kinds[4], 2);
    assert_eq!(site.pass(), [(1, 1), (2, 1)]);
    for (kind, count) in kinds.iter().zip([0, 3, 1, 1, 0, 1, 1]).filter(|(_, count)| *count > 0) {
        site.submit(*kind, count);
    }
    let why = site.engine.node_why(NodeId(1)).expect("seen");
    let told = [
        "node n1 (id 1): cpus:2,mem:512 free of cpus:4,mem:512, 2 executions run",
        "runs: execution 1 of job 1, job type 1, has cpus:1",
        "runs: execution 2 of job 2, job type 5, has cpus:1",
        "job type 5, 1 queued, job 3 asks for cpus:1: at its limit: 1 of 1 run",
        "job type 2, 3 queued, job 4 asks for cpus:1: job 4 fits, and 1 more like it",
        "job type 3, 1 queued, job 7 asks for cpus:4: short of 2 cpus",
        "job type 4, 1 queued, job 8 asks for cpus:9: too big for the node by 5 cpus",
        "job type 6, 1 queued, job 9 asks for cpus:1: paused",
        "job type 7, 1 queued, job 10 asks for cpus:1: demands: rack is b",
    ];
    assert_eq!(lines(&why), told);
    assert_eq!(why.running[1].since, Some(Timestamp(0)));
    assert_eq!(site.engine.node_why(NodeId(2)), None);
    assert_eq!(site.pass(), [(4, 1), (5, 1)], "and so does the pass");
}

#[test]
fn a_node_that_is_kept_says_so_to_all_others_and_tells_for_whom() {
    let site = kept();
    let told = [
        "node n1 (id 1): cpus:1 free of cpus:4, 3 executions run; \
         kept for execution 4 of job 4 since 1970-01-01T00:01:30Z",
        "job type 1, 1 queued, job 4 asks for cpus:4: short of 3 cpus",
        "job type 2, 9 queued, job 5 asks for cpus:1: fits, the node is kept",
    ];
    let why = site.engine.node_why(NodeId(1)).expect("seen");
    let waiting = |why| lines(why).into_iter().filter(|line| !line.starts_with("runs")).collect::<Vec<_>>();
    assert_eq!(waiting(&why), told);
    site.end_all(1);
    let why = site.engine.node_why(NodeId(1)).expect("seen");
    let told = "job type 1, 1 queued, job 4 asks for cpus:4: job 4 fits";
    assert_eq!(waiting(&why)[1], told, "it is kept for this one alone");
}

#[test]
fn nodes_that_take_nothing_and_a_strict_order_are_told() {
    let mut site = Site::new(Policy::default().strict(true));
    let (large, small) = (site.kind("large", "cpus:4"), site.kind("small", "cpus:1"));
    site.node(1, "cpus:4");
    site.submit(small, 1);
    assert_eq!(site.pass(), [(1, 1)]);
    site.submit(large, 1);
    site.submit(small, 1);
    assert_eq!(site.pass(), []);
    let last = |site: &Site| {
        let why = site.engine.node_why(NodeId(1)).expect("seen");
        (why.lanes[1].verdict.clone(), why.is_paused, why.is_scheduler_paused)
    };
    assert_eq!(last(&site), (NodeVerdict::Strict { job: JobId(2) }, false, false));
    assert_eq!(site.engine.put_node("n1").expect("room").wait_durable(SYNC).expect("known"), NodeId(1));
    let pause = NodeChange { is_paused: Some(true), ..NodeChange::default() };
    site.engine.edit_node(NodeId(1), pause).expect("room").wait_durable(SYNC).expect("set");
    assert_eq!(last(&site), (NodeVerdict::NodePaused, true, false));
    let pause = SchedulerChange { is_paused: Some(true), ..SchedulerChange::default() };
    site.engine.edit_scheduler(pause).expect("room").wait_durable(SYNC).expect("set");
    assert_eq!(last(&site).0, NodeVerdict::SchedulerPaused);
    assert!(last(&site).2);
}

#[test]
fn an_offer_that_is_gone_is_told_as_what_it_left() {
    let mut site = Site::new(Policy::default());
    let kind = site.kind("a", "cpus:1");
    site.submit(kind, 1);
    site.engine.hold_offer(&Offer::new(NodeId(7), set("cpus:2")).named("seven"));
    let summary = |site: &Site| site.engine.node_why(NodeId(7)).expect("seen").summary();
    assert_eq!(summary(&site), "node seven (id 7): cpus:2 free of cpus:2, nothing runs");
    assert!(site.engine.withdraw_offer(NodeId(7)));
    let told = "node seven (id 7): cpus:2 free of cpus:2 when it last offered, nothing runs";
    assert_eq!(summary(&site), told);
}

#[test]
fn of_many_lanes_and_executions_a_node_tells_the_first() {
    let mut site = Site::new(Policy::default());
    site.node(1, "cpus:130");
    let runs = site.kind("runs", "cpus:1");
    site.submit(runs, 130);
    assert_eq!(site.pass().len(), 130);
    for n in 0..120 {
        let kind = site.kind(&format!("t{n}"), "cpus:1");
        site.submit_at(kind, 1, 1_000 - n);
    }
    let why = site.engine.node_why(NodeId(1)).expect("seen");
    assert_eq!((why.lanes.len(), why.n_lanes), (100, 120));
    let priorities: Vec<i32> = why.lanes.iter().map(|lane| lane.priority).collect();
    assert_eq!(priorities, (881..=980).collect::<Vec<_>>());
    assert_eq!((why.running.len(), why.n_running), (100, 130));
    assert!(why.running.iter().map(|runs| runs.job.0).eq(1..=100));
    let told = lines(&why);
    assert_eq!(told.last().map(String::as_str), Some("and 20 more that wait"));
    assert_eq!(told[101], "and 30 more that run");
}

/// A type of the naive loop, and how many of its jobs wait and run.
pub(super) struct Kind {
    pub(super) id: JobTypeId,
    cpus: u64,
    mem: u64,
    limit: Option<u64>,
    is_paused: bool,
    wants_rack_b: bool,
}

pub(super) struct Host {
    pub(super) id: u32,
    cpus: u64,
    mem: u64,
    is_rack_b: bool,
}

/// What a naive look says of one type on one node, in the words of [`told`].
fn naive(kind: &Kind, host: &Host, n_queued: u64, n_runs: u64, free: (u64, u64)) -> String {
    let short = |of: (u64, u64)| {
        let parts = [(kind.cpus.saturating_sub(of.0), "cpus"), (kind.mem.saturating_sub(of.1), "mem")];
        let parts = parts.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}"));
        parts.collect::<Vec<_>>().join(" ")
    };
    if kind.is_paused {
        return "paused".to_owned();
    }
    if kind.wants_rack_b && !host.is_rack_b {
        return "constraints".to_owned();
    }
    if kind.limit.is_some_and(|limit| n_runs >= limit) {
        return "limit".to_owned();
    }
    let never = short((host.cpus, host.mem));
    if !never.is_empty() {
        return format!("too big {never}");
    }
    let now = short(free);
    if !now.is_empty() {
        return format!("short {now}");
    }
    let room = (free.0 / kind.cpus).min(free.1 / kind.mem);
    let may_run = kind.limit.map_or(u64::MAX, |limit| limit - n_runs);
    format!("fits {}", room.min(n_queued).min(may_run))
}

fn told(verdict: &NodeVerdict) -> String {
    let lacks = |lacks: &[weighbridge::Lack]| {
        let parts = lacks.iter().map(|lack| format!("{} {}", lack.short, lack.resource));
        parts.collect::<Vec<_>>().join(" ")
    };
    match verdict {
        NodeVerdict::Fits { n, .. } => format!("fits {n}"),
        NodeVerdict::Short { lacks: all } => format!("short {}", lacks(all)),
        NodeVerdict::TooBig { lacks: all } => format!("too big {}", lacks(all)),
        NodeVerdict::Paused => "paused".to_owned(),
        NodeVerdict::Limit { .. } => "limit".to_owned(),
        NodeVerdict::Constraints { .. } => "constraints".to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Numbers that are the same on every machine (splitmix64).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// Nodes and types at random: those of the first three demand a rack, some have limits or are paused.
pub(super) fn cluster(site: &mut Site, numbers: &mut Numbers) -> (Vec<Host>, Vec<Kind>) {
    let mut hosts = Vec::new();
    for id in 1..=1 + u32::try_from(numbers.below(6)).expect("small") {
        let (cpus, mem) = (1 + numbers.below(8), 1 + numbers.below(16));
        let is_rack_b = numbers.below(2) == 0;
        let offer = Offer::new(NodeId(id), set(&format!("cpus:{cpus},mem:{mem}"))).named(format!("n{id}"));
        site.engine.declare(&offer.attribute("rack", if is_rack_b { "b" } else { "a" }));
        hosts.push(Host { id, cpus, mem, is_rack_b });
    }
    let mut kinds = Vec::new();
    for n in 0..8 {
        let (cpus, mem) = (1 + numbers.below(6), 1 + numbers.below(12));
        let name = if n < 3 { format!("picky{n}") } else { format!("t{n}") };
        let id = site.kind(&name, &format!("cpus:{cpus},mem:{mem}"));
        let limit = (numbers.below(3) == 0).then(|| 1 + numbers.below(3));
        if let Some(limit) = limit {
            site.limit(id, u32::try_from(limit).expect("small"));
        }
        let is_paused = numbers.below(5) == 0;
        site.engine.pause(id, is_paused).expect("room").wait_durable(SYNC).expect("set");
        kinds.push(Kind { id, cpus, mem, limit, is_paused, wants_rack_b: n < 3 });
    }
    (hosts, kinds)
}

/// The naive side: who waits and runs by its own count.
struct Naive {
    hosts: Vec<Host>,
    kinds: Vec<Kind>,
    /// Of each job the place of its type in `kinds`, from job 1 on.
    kind_of: Vec<usize>,
    /// How many wait of each type.
    waiting: Vec<u64>,
    /// The node of each job that runs.
    running: BTreeMap<u64, u32>,
}

impl Naive {
    fn new((hosts, kinds): (Vec<Host>, Vec<Kind>)) -> Self {
        let waiting = vec![0; kinds.len()];
        Self { hosts, kinds, kind_of: Vec::new(), waiting, running: BTreeMap::new() }
    }

    fn place(&self, job: u64) -> usize {
        self.kind_of[usize::try_from(job).expect("small") - 1]
    }

    fn submit(&mut self, site: &mut Site, numbers: &mut Numbers) {
        for (at, kind) in self.kinds.iter().enumerate() {
            let count = numbers.below(3);
            if count > 0 {
                site.submit(kind.id, u32::try_from(count).expect("small"));
                self.kind_of.extend((0..count).map(|_| at));
                self.waiting[at] += count;
            }
        }
    }

    fn placed(&mut self, placed: &[(u64, u32)]) {
        for &(job, node) in placed {
            let at = self.place(job);
            self.waiting[at] -= 1;
            self.running.insert(job, node);
        }
    }

    /// The jobs that run on a node.
    fn here(&self, host: &Host) -> Vec<u64> {
        self.running.iter().filter(|(_, node)| **node == host.id).map(|(job, _)| *job).collect()
    }

    /// What is said of each type with waiting jobs, by how many wait.
    fn says(&self, host: &Host) -> BTreeMap<JobTypeId, (u64, String)> {
        let here = self.here(host);
        let used =
            |of: fn(&Kind) -> u64| -> u64 { here.iter().map(|job| of(&self.kinds[self.place(*job)])).sum() };
        let free = (host.cpus - used(|kind| kind.cpus), host.mem - used(|kind| kind.mem));
        let waits = self.kinds.iter().zip(&self.waiting).enumerate().filter(|(_, (_, n))| **n > 0);
        let said = waits.map(|(at, (kind, n))| {
            let runs = self.running.keys().filter(|job| self.place(**job) == at).count() as u64;
            (kind.id, (*n, naive(kind, host, *n, runs, free)))
        });
        said.collect()
    }
}

#[test]
fn what_a_node_tells_is_what_a_naive_loop_over_nodes_finds() {
    let mut n_words: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..40 {
        let mut numbers = Numbers(seed);
        let mut policy = Policy::default().with_reserving(Reserving::Never);
        let own = TypePolicy::default().with_constraint(demand("rack", Demand::Equals("b".to_owned())));
        for n in 0..3 {
            policy.named.insert(format!("picky{n}"), own.clone());
        }
        let mut site = Site::new(policy);
        let mut all = Naive::new(cluster(&mut site, &mut numbers));
        for round in 0..6 {
            if round < 4 {
                all.submit(&mut site, &mut numbers);
            }
            let mut does_any_fit = false;
            for host in &all.hosts {
                let why = site.engine.node_why(NodeId(host.id)).expect("declared");
                let runs: Vec<u64> = why.running.iter().map(|runs| runs.job.0).collect();
                let here = all.here(host);
                assert_eq!(why.n_running, here.len(), "seed {seed}, round {round}");
                assert!(here.iter().all(|job| runs.contains(job)), "seed {seed}, round {round}, {why}");
                let of = |lane: &LaneWhy| (lane.job_type, (lane.n_queued as u64, told(&lane.verdict)));
                let found: BTreeMap<_, _> = why.lanes.iter().map(of).collect();
                assert_eq!(found, all.says(host), "seed {seed}, round {round}, {why}");
                for (_, said) in found.values() {
                    let word = said.split(' ').next().expect("a word").to_owned();
                    does_any_fit |= word == "fits";
                    *n_words.entry(word).or_default() += 1;
                }
            }
            let placed = site.pass();
            assert_eq!(does_any_fit, !placed.is_empty(), "seed {seed}, round {round}");
            all.placed(&placed);
            if let Some(host) = all.hosts.get(usize::try_from(numbers.below(8)).expect("small")) {
                site.end_all(host.id);
                all.running.retain(|_, node| *node != host.id);
            }
        }
    }
    let words = ["constraints", "fits", "limit", "paused", "short", "too"];
    assert!(n_words.keys().eq(words) && n_words.values().all(|n| *n > 20), "{n_words:?}");
}
