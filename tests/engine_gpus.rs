//! Graphics processors as slots in the engine: which execution has which, against a plain list, over dropped picks,
//! refusals and restarts.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use weighbridge::{
    AgentId, Blocker, Engine, ExeId, JobId, JobRequest, JobTypeId, JobTypeSpec, Launch, LaunchName, NewOffer,
    NodeId, NodeResources, Offer, OfferId, Options, Outcome, Picks, Quantity, RoleAmount, Roles, SlotShare,
    StatusUpdate, Submission, SubmissionId, TaskState, Usage,
};

const SYNC: Duration = Duration::from_secs(20);
/// Declared, with three slots.
const SLOTS: NodeId = NodeId(1);
/// Declared, with an amount.
const AMOUNT: NodeId = NodeId(2);
/// Offered alone, with two slots.
const ALONE: NodeId = NodeId(3);

fn set(text: &str) -> NodeResources {
    text.parse().expect("resources")
}

fn gpus(asked: u64) -> NodeResources {
    NodeResources::new().with("gpus", Quantity(asked)).expect("a name").cpus("0.001").expect("an amount")
}

fn share(slot: u16, thousandths: u16) -> SlotShare {
    SlotShare { slot, thousandths }
}

struct Site {
    directory: tempfile::TempDir,
    engine: Engine,
    kind: JobTypeId,
    n_submissions: u32,
}

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = Engine::open(directory.path(), Options::default()).expect("a store");
        let spec = JobTypeSpec::new("a", "1").command(["run"]).env("CUDA_VISIBLE_DEVICES", "7");
        let kind = engine.put_job_type(spec).expect("room").wait_durable(SYNC).expect("a type");
        Self { directory, engine, kind, n_submissions: 0 }
    }

    fn declare(&self) {
        self.engine.declare(&Offer::new(SLOTS, set("cpus:99,gpus:3")).gpu_slots(3));
        self.engine.declare(&Offer::new(AMOUNT, set("cpus:99,gpus:1.5")));
    }

    fn restart(&mut self) {
        self.engine.clone().close().expect("closed");
        self.engine = Engine::open(self.directory.path(), Options::default()).expect("a store");
    }

    fn submit(&mut self, asks: NodeResources, count: u32) -> JobId {
        self.n_submissions += 1;
        let id = SubmissionId::new(&format!("s{}", self.n_submissions)).expect("an id");
        let request = JobRequest::new(self.kind).needs(asks).count(count);
        let accepted =
            self.engine.submit(Submission::new(id).jobs(request)).expect("room").wait_durable(SYNC);
        accepted.expect("accepted").first_job
    }

    fn report(&self, name: LaunchName, is_refused: bool) {
        let refused = TaskState::Refused { reason: "no room".to_owned() };
        let ended = TaskState::Ended { outcome: Outcome::Exited { code: 0 }, usage: Usage::default() };
        let state = if is_refused { refused } else { ended };
        let update = StatusUpdate { name, state, when: self.engine.now() };
        self.engine.status(update).expect("room").wait_durable(SYNC).expect("taken");
    }
}

fn launches(picks: Picks<'_>) -> Vec<Launch> {
    picks.commit().wait(SYNC).expect("durable").into_iter().map(weighbridge::Durable::into_inner).collect()
}

#[test]
fn an_execution_is_told_its_slots_and_has_them_until_it_ends() {
    let mut site = Site::new();
    site.engine.declare(&Offer::new(SLOTS, set("cpus:99,gpus:3")).gpu_slots(3));
    for asked in [2_000, 250, 1_000, 700, 100] {
        site.submit(gpus(asked), 1);
    }
    let all: Vec<Launch> = site.engine.pass().into_iter().flat_map(launches).collect();
    let told: BTreeMap<u64, Vec<SlotShare>> = all.iter().map(|l| (l.name.exe.0, l.gpus.clone())).collect();
    let expected =
        [(1, vec![share(0, 1_000), share(1, 1_000)]), (2, vec![share(2, 250)]), (4, vec![share(2, 700)])];
    assert_eq!(told, BTreeMap::from(expected));
    let variables: BTreeMap<&str, &str> = all[0].env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let expected = [("CUDA_VISIBLE_DEVICES", "0,1"), ("WEIGHBRIDGE_GPUS", "0:1,1:1")];
    assert_eq!(variables, BTreeMap::from(expected), "whatever its type says");
    assert_eq!(all[1].env.last().map(|(_, text)| text.as_str()), Some("2:0.25"));
    // It runs on over a restart, after which it has what it had, and nobody else has.
    site.restart();
    site.engine.declare(&Offer::new(SLOTS, set("cpus:99,gpus:3")).gpu_slots(3));
    let had: BTreeMap<u64, Vec<SlotShare>> =
        site.engine.running().into_iter().map(|run| (run.name.exe.0, run.gpus)).collect();
    assert_eq!(had, told);
    assert!(site.engine.pass().is_empty(), "0.05 is free");
    let Blocker::Busy { shortages } = site.engine.why(JobId(5)).expect("it waits").blocker else { panic!() };
    assert_eq!((shortages[0].resource.as_str(), shortages[0].most), ("gpus", Quantity(50)));
    site.report(all[2].name, false);
    site.report(all[0].name, true);
    // The one that was refused is back in its place, and the others come after it.
    let again: Vec<_> = site.engine.pass().into_iter().flat_map(launches).collect();
    let again: Vec<_> = again.iter().map(|launch| (launch.name.exe.0, launch.gpus.clone())).collect();
    assert_eq!(again, [(1, vec![share(0, 1_000), share(1, 1_000)]), (5, vec![share(2, 100)])]);
    site.engine.check_invariants();
}

#[test]
fn of_a_node_in_pieces_nobody_gets_more_than_a_piece() {
    let mut site = Site::new();
    site.submit(gpus(600), 2);
    site.submit(gpus(700), 1);
    site.submit(gpus(400), 1);
    let offer = |free: &str| Offer::new(ALONE, set(free)).gpu_slots(2);
    // By the amount the third one would fit too.
    let first = launches(site.engine.offer(&offer("cpus:9,gpus:2")));
    let told: Vec<_> = first.iter().map(|launch| (launch.name.exe.0, launch.gpus.clone())).collect();
    assert_eq!(told, [(1, vec![share(0, 600)]), (2, vec![share(1, 600)]), (4, vec![share(0, 400)])]);
    site.report(first[1].name, false);
    let next = launches(site.engine.offer(&offer("cpus:9,gpus:1")));
    assert_eq!(next.iter().map(|launch| launch.gpus.clone()).collect::<Vec<_>>(), [[share(1, 700)]]);
}

#[test]
fn nodes_of_a_cluster_have_slots_where_they_are_asked_for() {
    let check = |are_slots: bool, expected: &[&[SlotShare]]| {
        let engine = Engine::in_memory(Options::default().gpu_slots(are_slots));
        let kind = engine.put_job_type(JobTypeSpec::new("a", "1").needs(set("gpus:1"))).expect("room");
        let kind = kind.wait_durable(SYNC).expect("a type");
        let submission = Submission::new(SubmissionId::new("s").expect("an id"));
        let accepted = engine.submit(submission.jobs(JobRequest::new(kind).count(2))).expect("room");
        accepted.wait_durable(SYNC).expect("accepted");
        let amount =
            RoleAmount { role: Roles::ANY.into(), name: "gpus".to_owned(), amount: Quantity::whole(4) };
        let arrival = engine.offered(&NewOffer {
            id: OfferId::new("o").expect("a name"),
            agent: AgentId::new("a").expect("a name"),
            host: "one".to_owned(),
            amounts: vec![amount],
            attributes: BTreeMap::new(),
        });
        arrival.outcome.expect("held");
        let all: Vec<Launch> = engine.pass().into_iter().flat_map(launches).collect();
        assert_eq!(all.iter().map(|launch| &*launch.gpus).collect::<Vec<_>>(), expected);
        engine.check_invariants();
    };
    check(true, &[&[share(0, 1_000)], &[share(1, 1_000)]]);
    check(false, &[&[], &[]]);
}

#[derive(Clone, Debug)]
enum Step {
    Submit {
        asked: u64,
        count: u32,
    },
    Cancel {
        which: usize,
    },
    Pass {
        drops: u8,
        cancels: bool,
    },
    /// Of the node that is offered alone.
    Offer {
        is_dropped: bool,
    },
    End {
        which: usize,
        is_refused: bool,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let asked = prop_oneof![Just(250), Just(1_000), Just(2_000), Just(1_300), 0..1_500_u64];
    prop_oneof![
        4 => (asked, 1..4_u32).prop_map(|(asked, count)| Step::Submit { asked, count }),
        1 => any::<usize>().prop_map(|which| Step::Cancel { which }),
        4 => (any::<u8>(), any::<bool>()).prop_map(|(drops, cancels)| Step::Pass { drops, cancels }),
        2 => prop::bool::weighted(0.2).prop_map(|is_dropped| Step::Offer { is_dropped }),
        5 => (any::<usize>(), prop::bool::weighted(0.3)).prop_map(|(which, is_refused)| Step::End { which, is_refused }),
        1 => Just(Step::Restart),
    ]
}

/// What runs, by launch: where, what it asked for, and its slots.
struct Model {
    site: Site,
    running: BTreeMap<LaunchName, (NodeId, u64, Vec<SlotShare>)>,
    n_jobs: u64,
}

impl Model {
    fn asked_on(&self, node: NodeId) -> u64 {
        self.running.values().filter(|(on, ..)| *on == node).map(|(_, asked, _)| asked).sum()
    }

    /// What is in use of each slot of a node.
    fn used(&self, node: NodeId, n: usize) -> Vec<u64> {
        let mut used = vec![0; n];
        for (_, _, shares) in self.running.values().filter(|(on, ..)| *on == node) {
            for share in shares {
                used[usize::from(share.slot)] += u64::from(share.thousandths);
            }
        }
        assert!(used.iter().all(|used| *used <= 1_000), "a slot is given twice: {used:?}");
        used
    }

    /// Whether slots are found in any way.
    fn fits(used: &[u64], asked: u64) -> bool {
        let (n_whole, rest) = (asked / 1_000, asked % 1_000);
        let n_free = used.iter().filter(|used| **used == 0).count() as u64;
        let in_pieces = used.iter().any(|used| *used > 0 && used + rest <= 1_000);
        n_free >= n_whole && (rest == 0 || in_pieces || n_free > n_whole)
    }

    fn launched(&mut self, all: Vec<Launch>) {
        for launch in all {
            let asked = launch.resources.get("gpus").0;
            let has: u64 = launch.gpus.iter().map(|share| u64::from(share.thousandths)).sum();
            assert_eq!(has, if launch.node == AMOUNT { 0 } else { asked }, "{launch:?}");
            let n_parts = launch.gpus.iter().filter(|share| share.thousandths < 1_000).count();
            assert!(n_parts <= 1, "one is of one piece: {launch:?}");
            let before = self.running.insert(launch.name, (launch.node, asked, launch.gpus));
            assert_eq!(before, None, "launched twice");
        }
    }

    fn cancel(&self, job: u64) {
        self.site.engine.cancel(vec![JobId(job)]).expect("room").wait_durable(SYNC).expect("taken");
    }

    fn step(&mut self, step: &Step) {
        let engine = self.site.engine.clone();
        match step {
            Step::Submit { asked, count } => {
                self.site.submit(gpus(*asked), *count);
                self.n_jobs += u64::from(*count);
            }
            Step::Cancel { which } if self.n_jobs > 0 => self.cancel(*which as u64 % self.n_jobs + 1),
            Step::Cancel { .. } => {}
            Step::Pass { drops, cancels } => {
                let all = engine.pass();
                if let (true, Some(pick)) = (cancels, all.first().and_then(|picks| picks.iter().next())) {
                    self.cancel(pick.job.0);
                }
                for (at, picks) in all.into_iter().enumerate() {
                    if drops >> (at % 8) & 1 == 0 {
                        self.launched(launches(picks));
                    }
                }
                // What waits now fits nowhere.
                for picks in engine.pass() {
                    self.launched(launches(picks));
                }
                let free = [self.used(SLOTS, 3), Vec::new()];
                for waits in engine.queued(&[], 1_000) {
                    let asked = waits.resources.get("gpus").0;
                    let fits = Self::fits(&free[0], asked) || self.asked_on(AMOUNT) + asked <= 1_500;
                    assert!(!fits, "{asked} of {free:?}");
                }
            }
            Step::Offer { is_dropped } => {
                let free = 2_000 - self.asked_on(ALONE);
                let picks =
                    engine.offer(&Offer::new(ALONE, gpus(free).cpus("9").expect("cpus")).gpu_slots(2));
                if !is_dropped {
                    self.launched(launches(picks));
                    let used = self.used(ALONE, 2);
                    for waits in engine.queued(&[], 1_000) {
                        assert!(!Self::fits(&used, waits.resources.get("gpus").0), "{used:?}");
                    }
                }
            }
            Step::End { which, is_refused } => {
                let Some(name) = self.running.keys().nth(which % self.running.len().max(1)).copied() else {
                    return;
                };
                self.running.remove(&name);
                self.site.report(name, *is_refused);
            }
            Step::Restart => {
                drop(engine);
                self.site.restart();
                self.site.declare();
            }
        }
        self.used(SLOTS, 3);
        self.used(ALONE, 2);
        let running: BTreeMap<ExeId, Vec<SlotShare>> =
            self.site.engine.running().into_iter().map(|run| (run.name.exe, run.gpus)).collect();
        let expected = self.running.iter().map(|(name, (_, _, shares))| (name.exe, shares.clone()));
        assert_eq!(running, expected.collect());
        self.site.engine.check_invariants();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 300, ..ProptestConfig::default() })]
    #[test]
    fn no_slot_is_given_twice_and_none_is_left_that_fits(steps in prop::collection::vec(step(), 1..60)) {
        let site = Site::new();
        site.declare();
        let mut model = Model { site, running: BTreeMap::new(), n_jobs: 0 };
        for step in &steps {
            model.step(step);
        }
    }
}
