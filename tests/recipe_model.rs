//! Recipes through the engine against a naive interpreter, written from the rules and nothing else: after every
//! step it looks at the whole graph again until nothing changes any more.
//!
//! Drawn are the graphs (jobs, conditions, sub-recipes) and what happens to them: jobs start, end, fail, are
//! canceled and queued again; recipes are made anew; the store is closed and opened.

#[expect(dead_code, reason = "shared with tests/recipes.rs")]
#[path = "common/recipes.rs"]
mod kit;

use std::collections::BTreeMap;

use kit::{DONE, FAILED, WAIT, end, job_node, job_type, recipe, recipe_type, start};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use weighbridge::{
    Engine, JobId, JobStatus, Options, RecipeCounts, RecipeError, RecipeId, RecipeNodeRow, RecipeTypeId,
    Reprocess, TicketError,
};

use JobStatus::{Blocked, Canceled, Completed, Failed, Pending, Queued, Running};

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Job,
    /// With its verdict.
    Condition(bool),
    /// A recipe of the other, smaller graph.
    Sub,
}

/// A graph; parents stand before children, each with the verdict waited for.
#[derive(Clone, Debug)]
struct Graph {
    kinds: Vec<Kind>,
    parents: Vec<Vec<(usize, bool)>>,
}

impl Graph {
    fn name(at: usize) -> String {
        format!("n{at}")
    }

    fn definition(&self) -> Value {
        let nodes = (0..self.kinds.len()).map(|at| {
            let number = json!({"N": {"type": "recipe", "input": "N"}});
            let mut node = match self.kinds[at] {
                Kind::Job => job_node("plain", &[], &json!({})),
                Kind::Sub => kit::recipe_node("inner", 1, &[], &number),
                Kind::Condition(verdict) => json!({"input": number, "node_type": {"node_type": "condition",
                    "interface": {"json": [{"name": "N", "type": "integer"}]},
                    "data_filter": {"filters": [{"name": "N", "type": "integer", "condition": "==",
                        "values": [if verdict { 1 } else { 2 }]}]}}}),
            };
            let parents = self.parents[at].iter();
            let parents: Vec<Value> = parents
                .map(|(parent, wanted)| json!({"name": Self::name(*parent), "acceptance": wanted}))
                .collect();
            node["dependencies"] = json!(parents);
            (Self::name(at), node)
        });
        json!({"input": {"json": [{"name": "N", "type": "integer"}]}, "nodes": nodes.collect::<Map<_, _>>()})
    }
}

/// What stands for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Missing,
    Job(usize),
    Condition(Option<bool>),
    Sub(usize),
}

#[derive(Clone, Debug)]
struct Job {
    status: JobStatus,
    num_exes: u32,
    has_input: bool,
    is_superseded: bool,
    id: Option<JobId>,
}

#[expect(clippy::struct_excessive_bools, reason = "they are independent")]
#[derive(Clone, Debug)]
struct Recipe {
    graph: usize,
    nodes: Vec<Node>,
    has_input: bool,
    is_completed: bool,
    is_superseded: bool,
    is_top: bool,
    id: Option<RecipeId>,
}

/// The interpreter.
#[derive(Clone, Debug, Default)]
struct Model {
    graphs: Vec<Graph>,
    recipes: Vec<Recipe>,
    jobs: Vec<Job>,
}

impl Model {
    fn make(&mut self, graph: usize, has_input: bool, is_top: bool) -> usize {
        let nodes = vec![Node::Missing; self.graphs[graph].kinds.len()];
        self.recipes.push(Recipe {
            graph,
            nodes,
            has_input,
            is_completed: false,
            is_superseded: false,
            is_top,
            id: None,
        });
        self.recipes.len() - 1
    }

    /// Jobs of a recipe and of all within it.
    fn jobs_of(&self, recipe: usize) -> Vec<usize> {
        let nodes = self.recipes[recipe].nodes.iter();
        nodes
            .flat_map(|node| match node {
                Node::Job(job) => vec![*job],
                Node::Sub(sub) => self.jobs_of(*sub),
                Node::Missing | Node::Condition(_) => Vec::new(),
            })
            .collect()
    }

    fn blocks_by_itself(&self, node: Node) -> bool {
        match node {
            Node::Job(job) => matches!(self.jobs[job].status, Canceled | Failed),
            Node::Sub(sub) => self
                .jobs_of(sub)
                .iter()
                .any(|job| matches!(self.jobs[*job].status, Blocked | Canceled | Failed)),
            Node::Missing | Node::Condition(_) => false,
        }
    }

    fn is_ready(&self, node: Node, wanted: bool) -> bool {
        match node {
            Node::Missing => false,
            Node::Job(job) => self.jobs[job].status == Completed,
            Node::Sub(sub) => self.recipes[sub].is_completed,
            Node::Condition(verdict) => verdict == Some(wanted),
        }
    }

    /// Looks at a whole recipe once. True where something changed.
    fn evaluate(&mut self, at: usize) -> bool {
        let recipe = self.recipes[at].clone();
        let graph = self.graphs[recipe.graph].clone();
        let n = graph.kinds.len();
        let (mut blocks, mut may_exist) = (vec![false; n], vec![false; n]);
        let mut is_all_done = true;
        for place in 0..n {
            let node = self.recipes[at].nodes[place];
            let parents = &graph.parents[place];
            let stands = |parent: usize| self.recipes[at].nodes[parent];
            let is_blocked = parents.iter().any(|(parent, _)| blocks[*parent]);
            may_exist[place] =
                parents.iter().all(|(parent, wanted)| match (stands(*parent), graph.kinds[*parent]) {
                    (Node::Condition(verdict), _) => verdict == Some(*wanted),
                    (Node::Missing, Kind::Condition(_)) => false,
                    (Node::Missing, _) => may_exist[*parent],
                    _ => true,
                });
            let is_ready = recipe.has_input
                && parents.iter().all(|(parent, wanted)| self.is_ready(stands(*parent), *wanted));
            blocks[place] = is_blocked || self.blocks_by_itself(node);
            match node {
                Node::Missing if may_exist[place] => {
                    let made = match graph.kinds[place] {
                        Kind::Job => {
                            self.jobs.push(Job {
                                status: Pending,
                                num_exes: 0,
                                has_input: false,
                                is_superseded: false,
                                id: None,
                            });
                            Node::Job(self.jobs.len() - 1)
                        }
                        Kind::Condition(_) => Node::Condition(None),
                        Kind::Sub => Node::Sub(self.make(1, false, false)),
                    };
                    self.recipes[at].nodes[place] = made;
                    return true;
                }
                Node::Missing => {}
                Node::Job(job) => {
                    let job = &mut self.jobs[job];
                    is_all_done &= job.status == Completed;
                    let waits = matches!(job.status, Pending | Blocked);
                    if job.status == Blocked && !blocks[place] {
                        job.status = Pending;
                        return true;
                    }
                    if job.status == Pending && blocks[place] {
                        job.status = Blocked;
                        return true;
                    }
                    if waits && is_ready && !job.has_input {
                        (job.has_input, job.status, job.num_exes) = (true, Queued, 1);
                        return true;
                    }
                }
                Node::Sub(sub) => {
                    is_all_done &= self.recipes[sub].is_completed;
                    if is_ready && !self.recipes[sub].has_input {
                        self.recipes[sub].has_input = true;
                        return true;
                    }
                }
                Node::Condition(verdict) => {
                    is_all_done &= verdict.is_some();
                    if let (None, true, Kind::Condition(found)) = (verdict, is_ready, graph.kinds[place]) {
                        self.recipes[at].nodes[place] = Node::Condition(Some(found));
                        return true;
                    }
                }
            }
        }
        let is_completed = is_all_done && recipe.has_input;
        let changed = is_completed && !recipe.is_completed;
        self.recipes[at].is_completed |= is_completed;
        changed
    }

    fn settle(&mut self) {
        loop {
            let open = |recipe: &Recipe| !recipe.is_completed && !recipe.is_superseded;
            let mut changed = false;
            for at in 0..self.recipes.len() {
                while open(&self.recipes[at]) && self.evaluate(at) {
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    fn cancel(&mut self, job: usize) {
        let job = &mut self.jobs[job];
        if !matches!(job.status, Canceled | Completed) {
            job.status = Canceled;
        }
    }

    fn requeue(&mut self, job: usize) {
        let job = &mut self.jobs[job];
        if job.is_superseded || job.status == Completed {
            return;
        }
        if job.num_exes > 0 && job.has_input {
            (job.status, job.num_exes) = (Queued, job.num_exes + 1);
        } else if job.status == Canceled {
            job.status = Pending;
        }
    }

    fn give_up(&mut self, node: Node) {
        match node {
            Node::Job(job) => {
                self.jobs[job].is_superseded = true;
                self.cancel(job);
            }
            Node::Sub(sub) => {
                for node in self.recipes[sub].nodes.clone() {
                    self.give_up(node);
                }
                self.recipes[sub].is_superseded = true;
            }
            Node::Missing | Node::Condition(_) => {}
        }
    }

    /// Makes a recipe anew; `forced` names places, `within` says that all in forced sub-recipes is forced too.
    fn renew(&mut self, old: usize, forced: &dyn Fn(usize) -> bool, within: bool) -> usize {
        let Recipe { graph, has_input, is_top, .. } = self.recipes[old];
        let new = self.make(graph, has_input, is_top);
        let parents = self.graphs[graph].parents.clone();
        let mut is_anew = vec![false; parents.len()];
        for place in 0..parents.len() {
            let behind = parents[place].iter().any(|(parent, _)| is_anew[*parent]);
            is_anew[place] = forced(place) || behind;
            let node = self.recipes[old].nodes[place];
            self.recipes[new].nodes[place] = match node {
                node if !is_anew[place] => node,
                Node::Sub(sub) if !behind => {
                    let sub = self.renew(sub, &|_| within, within);
                    Node::Sub(sub)
                }
                node => {
                    self.give_up(node);
                    Node::Missing
                }
            };
        }
        self.recipes[old].is_superseded = true;
        new
    }

    fn counts(&self, recipe: usize) -> RecipeCounts {
        self.recipes[recipe].nodes.iter().fold(RecipeCounts::default(), |sum, node| match node {
            Node::Job(job) => sum.plus(RecipeCounts::job(self.jobs[*job].status)),
            Node::Sub(sub) => {
                let mut itself = self.counts(*sub);
                itself.sub_recipes += 1;
                itself.sub_recipes_completed += u32::from(self.recipes[*sub].is_completed);
                sum.plus(itself)
            }
            Node::Missing | Node::Condition(_) => sum,
        })
    }
}

/// What happens. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Start(usize),
    End(usize),
    Fail(usize),
    Run(usize),
    Cancel(usize),
    Requeue(usize),
    /// A recipe, which nodes, and whether all within its sub-recipes.
    Reprocess(usize, u8, bool),
    New,
    /// The store is opened again; true: it was not closed.
    Restart(bool),
}

/// The engine beside the model.
struct Pair {
    directory: tempfile::TempDir,
    engine: Option<Engine>,
    outer: RecipeTypeId,
    model: Model,
}

fn open(directory: &tempfile::TempDir) -> Engine {
    Engine::open(directory.path(), Options::default()).expect("a store")
}

impl Pair {
    fn new(outer: Graph, inner: Graph) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(&directory);
        job_type(&engine, "plain", &[], &[]);
        recipe_type(&engine, "inner", &inner.definition());
        let kind = recipe_type(&engine, "outer", &outer.definition());
        let model = Model { graphs: vec![outer, inner], ..Model::default() };
        let mut pair = Self { directory, engine: Some(engine), outer: kind, model };
        pair.step(&Step::New);
        pair
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("open")
    }

    fn choose(&self, number: usize, wants: impl Fn(&Job) -> bool) -> Option<usize> {
        let all: Vec<usize> = (0..self.model.jobs.len()).filter(|at| wants(&self.model.jobs[*at])).collect();
        (!all.is_empty()).then(|| all[number % all.len()])
    }

    fn id(&self, job: usize) -> JobId {
        self.model.jobs[job].id.expect("it was looked at")
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Start(number) => {
                let Some(job) = self.choose(number, |job| job.status == Queued) else { return };
                start(self.engine(), self.id(job));
                self.model.jobs[job].status = Running;
            }
            Step::End(number) | Step::Fail(number) => {
                let Some(job) = self.choose(number, |job| job.status == Running) else { return };
                let fails = matches!(step, Step::Fail(_));
                end(self.engine(), self.id(job), if fails { FAILED } else { DONE });
                self.model.jobs[job].status = if fails { Failed } else { Completed };
            }
            Step::Run(number) => {
                let Some(job) = self.choose(number, |job| job.status == Queued) else { return };
                kit::run(self.engine(), self.id(job), DONE);
                self.model.jobs[job].status = Completed;
            }
            Step::Cancel(number) => {
                let Some(job) = self.choose(number, |_| true) else { return };
                self.engine().cancel(vec![self.id(job)]).expect("room").wait_durable(WAIT).expect("canceled");
                self.model.cancel(job);
            }
            Step::Requeue(number) => {
                let Some(job) = self.choose(number, |job| job.status != Completed) else { return };
                let ticket = self.engine().requeue(vec![self.id(job)], None).expect("room");
                ticket.wait_durable(WAIT).expect("requeued");
                self.model.requeue(job);
            }
            Step::Reprocess(number, nodes, within) => self.reprocess(number, nodes, within),
            Step::New => {
                let id = recipe(self.engine(), self.outer, json!({"json": {"N": 1}}));
                let at = self.model.make(0, true, true);
                self.model.recipes[at].id = Some(id);
            }
            Step::Restart(is_crash) => {
                let engine = self.engine.take().expect("open");
                if is_crash {
                    drop(engine);
                } else {
                    engine.close().expect("closed");
                }
                self.engine = Some(open(&self.directory));
            }
        }
        self.model.settle();
        self.compare(step);
    }

    fn reprocess(&mut self, number: usize, nodes: u8, within: bool) {
        let tops: Vec<usize> =
            (0..self.model.recipes.len()).filter(|at| self.model.recipes[*at].is_top).collect();
        let old = tops[number % tops.len()];
        let graph = self.model.graphs[0].clone();
        let forced = |place: usize| nodes & (1 << (place % 8)) != 0;
        let named: Vec<usize> = (0..graph.kinds.len()).filter(|place| forced(*place)).collect();
        let mut asked =
            json!({"all": false, "nodes": named.iter().map(|at| Graph::name(*at)).collect::<Vec<_>>()});
        if within {
            let subs = named.iter().filter(|place| graph.kinds[**place] == Kind::Sub);
            let subs = subs.map(|place| (Graph::name(*place), json!({"all": true})));
            asked["sub_recipes"] = Value::Object(subs.collect());
        }
        let id = self.model.recipes[old].id.expect("it was looked at");
        let mut answer = Err(TicketError::Lost);
        for _ in 0..5 {
            let ticket = self.engine().reprocess(Reprocess::new(id, asked.clone())).expect("room");
            answer = ticket.wait_durable(WAIT);
            if !matches!(answer, Err(TicketError::Refused(RecipeError::Changing(_)))) {
                break;
            }
        }
        if self.model.recipes[old].is_superseded {
            assert_eq!(answer, Err(TicketError::Refused(RecipeError::Superseded(id))));
            return;
        }
        let new = self.model.renew(old, &forced, within);
        self.model.recipes[new].id = Some(answer.expect("made anew"));
    }

    /// Holds everything against the model; what was not seen before gets its id.
    fn compare(&mut self, step: &Step) {
        self.engine().check_invariants();
        let (engine, mut at) = (self.engine().clone(), 0);
        // Those within others come later, and are known by then.
        while at < self.model.recipes.len() {
            let known = self.model.recipes[at].clone();
            at += 1;
            let Some(id) = known.id else { continue };
            let (view, nodes) = engine.recipe_details(id).expect("on record");
            let what = format!("{step:?}: recipe {id}, {nodes:?}");
            assert_eq!(view.recipe.completed.is_some(), known.is_completed, "{what}");
            assert_eq!(view.recipe.superseded.is_some(), known.is_superseded, "{what}");
            assert_eq!(view.counts, self.model.counts(at - 1), "{what}");
            for (place, node) in known.nodes.iter().enumerate() {
                // Parts that were never written hold nothing.
                let found = nodes.get(place).map(|node| (node.row, node.status));
                match (*node, found.unwrap_or_default()) {
                    (Node::Missing, (RecipeNodeRow::Missing, _)) => {}
                    (Node::Job(job), (RecipeNodeRow::Job { job: id, .. }, status)) => {
                        let known = self.model.jobs[job].id.get_or_insert(id);
                        assert_eq!((*known, status), (id, Some(self.model.jobs[job].status)), "{what}");
                    }
                    (
                        Node::Condition(verdict),
                        (RecipeNodeRow::Condition { is_processed, is_accepted }, _),
                    ) => {
                        assert_eq!(is_processed.then_some(is_accepted), verdict, "{what}");
                    }
                    (Node::Sub(sub), (RecipeNodeRow::Recipe { recipe, is_completed, .. }, _)) => {
                        let sub = &mut self.model.recipes[sub];
                        assert_eq!(*sub.id.get_or_insert(recipe), recipe, "{what}");
                        assert_eq!(is_completed, sub.is_completed, "{what}");
                    }
                    (known, found) => panic!("{known:?} is {found:?}: {what}"),
                }
            }
        }
        let ids: BTreeMap<JobId, usize> =
            self.model.jobs.iter().enumerate().filter_map(|(at, job)| Some((job.id?, at))).collect();
        assert_eq!(ids.len(), self.model.jobs.len(), "{step:?}: every job is a node");
        for job in engine.jobs(JobId(0), 1_000) {
            let known = &self.model.jobs[ids[&job.id]];
            let found = (job.status, job.num_exes, job.has_input, job.superseded.is_some());
            let known = (known.status, known.num_exes, known.has_input, known.is_superseded);
            assert_eq!(found, known, "{step:?}: job {}", job.id);
        }
    }
}

fn graph(
    kinds: impl Strategy<Value = Kind> + Clone,
    sizes: std::ops::Range<usize>,
) -> impl Strategy<Value = Graph> {
    let node = (kinds, prop::collection::vec((0..8_usize, prop::bool::weighted(0.8)), 0..3));
    prop::collection::vec(node, sizes).prop_map(|nodes| {
        let mut graph = Graph { kinds: Vec::new(), parents: Vec::new() };
        for (place, (kind, wanted)) in nodes.into_iter().enumerate() {
            let mut parents: Vec<(usize, bool)> = Vec::new();
            for (parent, verdict) in wanted.into_iter().filter(|_| place > 0) {
                let parent = parent % place.max(1);
                if parents.iter().all(|(known, _)| *known != parent) {
                    parents.push((parent, verdict));
                }
            }
            graph.kinds.push(kind);
            graph.parents.push(parents);
        }
        graph
    })
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0..64_usize;
    prop_oneof![
        3 => number.clone().prop_map(Step::Start),
        3 => number.clone().prop_map(Step::End),
        2 => number.clone().prop_map(Step::Fail),
        6 => number.clone().prop_map(Step::Run),
        2 => number.clone().prop_map(Step::Cancel),
        3 => number.clone().prop_map(Step::Requeue),
        2 => (number, any::<u8>(), any::<bool>()).prop_map(|(at, nodes, all)| Step::Reprocess(at, nodes, all)),
        1 => Just(Step::New),
        1 => any::<bool>().prop_map(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn recipes_do_what_the_whole_graph_says(
        outer in graph(prop_oneof![4 => Just(Kind::Job), 1 => any::<bool>().prop_map(Kind::Condition), 1 => Just(Kind::Sub)], 2..7),
        inner in graph(prop_oneof![4 => Just(Kind::Job), 1 => any::<bool>().prop_map(Kind::Condition)], 1..4),
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let mut pair = Pair::new(outer, inner);
        for step in &steps {
            pair.step(step);
        }
    }
}
