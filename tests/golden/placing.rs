//! The rules of placing, one by one, on the plain loops.

use weighbridge::{NodeId, NodeResources, Place, Placement, ResourceName};

use crate::model::{Model, ModelNode, ModelRunning};
use crate::scenario::scheduler;

fn set(text: &str) -> NodeResources {
    text.parse().expect("a set")
}

/// A ready node on which nothing runs.
fn node(id: u32, resources: &str) -> ModelNode {
    ModelNode {
        id: NodeId(id),
        is_ready: true,
        offered: set(resources),
        watermark: set(resources),
        ..ModelNode::default()
    }
}

fn running(priority: i32, resources: &str, is_current: bool) -> ModelRunning {
    ModelRunning { priority, resources: set(resources), is_current }
}

/// Plain loops and what the daemon places with, side by side: they have to agree.
struct Both {
    nodes: Vec<ModelNode>,
    types: Vec<NodeResources>,
    model: Model,
    asked: Vec<(NodeResources, i32)>,
}

impl Both {
    fn place(&mut self, asks: &NodeResources, priority: i32) -> Placement {
        let placement = self.model.place(asks, priority);
        // Names have to be known before a pass begins, so it is begun anew.
        self.asked.push((asks.clone(), priority));
        let known = self.asked.iter().map(|(asks, _)| asks);
        let mut scheduler = scheduler(&self.nodes, &self.types, known);
        let last = self.asked.iter().map(|(asks, priority)| scheduler.place(asks, *priority)).last();
        assert_eq!(last, Some(placement), "what is placed with against plain loops");
        placement
    }
}

fn model(nodes: &[ModelNode], types: &[&str]) -> Both {
    let types: Vec<NodeResources> = types.iter().map(|text| set(text)).collect();
    let model = Model::new(nodes.to_vec(), types.clone());
    Both { nodes: nodes.to_vec(), types, model, asked: Vec::new() }
}

fn run(node: u32, score: u32) -> Placement {
    Placement::Run { node: NodeId(node), score }
}

fn reserve(node: u32, score: u32) -> Placement {
    Placement::Reserve { node: NodeId(node), score }
}

#[test]
fn the_node_that_is_left_the_least_useful_wins_and_of_equal_ones_the_first() {
    let types = ["cpus:1", "cpus:2", "cpus:4"];
    let nodes = [node(3, "cpus:3"), node(1, "cpus:8"), node(2, "cpus:3")];
    let mut model = model(&nodes, &types);
    assert_eq!(model.place(&set("cpus:1"), 1), run(2, 2));
    assert_eq!(model.place(&set("cpus:1"), 1), run(2, 1));
    assert_eq!(model.place(&set("cpus:2"), 1), run(3, 1));
    assert_eq!(model.place(&set("cpus:2"), 1), run(1, 3));
}

#[test]
fn the_score_is_of_the_watermark_less_what_runs_now_and_was_given_away() {
    let types = ["cpus:1", "cpus:2", "cpus:4"];
    let with = |change: fn(&mut ModelNode)| {
        let mut node = node(1, "cpus:4");
        node.watermark = set("cpus:6");
        change(&mut node);
        model(&[node], &types).place(&set("cpus:1"), 1)
    };
    assert_eq!(with(|_| {}), run(1, 3));
    assert_eq!(with(|it| it.running.push(running(1, "cpus:2", true))), run(1, 2));
    assert_eq!(with(|it| it.running.push(running(1, "cpus:2", false))), run(1, 3));
    assert_eq!(with(|it| it.other.push(set("cpus:4"))), run(1, 1));
    assert_eq!(with(|it| it.pre.push(set("cpus:2"))), run(1, 2));
    assert_eq!(with(|it| it.placed.push((1, set("cpus:3")))), run(1, 2));
}

#[test]
fn a_node_is_reserved_only_where_none_can_run_it_and_takes_nothing_more() {
    let mut busy = node(1, "cpus:8");
    busy.offered = set("cpus:1");
    let mut model = model(&[busy, node(2, "cpus:2")], &["cpus:1"]);
    assert_eq!(model.place(&set("cpus:2"), 1), run(2, 0));
    assert_eq!(model.place(&set("cpus:2"), 1), reserve(1, 1));
    assert_eq!(model.place(&set("cpus:1"), 0), reserve(2, 1));
    assert_eq!(model.place(&set("cpus:1"), 0), Placement::Nowhere);
}

#[test]
fn a_reservation_counts_on_the_end_of_what_is_less_important_alone() {
    let reserved_beside = |change: fn(&mut ModelNode)| {
        let mut node = ModelNode { offered: set(""), ..node(1, "cpus:4") };
        change(&mut node);
        model(&[node], &[]).place(&set("cpus:3"), 10) == reserve(1, 0)
    };
    assert!(reserved_beside(|it| it.running.push(running(11, "cpus:2", true))));
    assert!(!reserved_beside(|it| it.running.push(running(10, "cpus:2", true))));
    assert!(!reserved_beside(|it| it.running.push(running(9, "cpus:2", false))));
    assert!(reserved_beside(|it| it.placed.push((11, set("cpus:2")))));
    assert!(!reserved_beside(|it| it.placed.push((10, set("cpus:2")))));
    assert!(!reserved_beside(|it| it.other.push(set("cpus:2"))));
    assert!(reserved_beside(|it| it.pre.push(set("cpus:2"))));
    assert!(!reserved_beside(|it| it.is_ready = false));
}

#[test]
fn what_is_below_zero_covers_no_zero_and_what_is_absent_does() {
    let mut over = node(1, "cpus:4,mem:100");
    over.other.push(set("mem:101"));
    assert_eq!(model(&[over.clone()], &["cpus:1"]).place(&set("cpus:1"), 1), run(1, 0));
    over.offered = set("cpus:0");
    assert_eq!(model(&[over], &[]).place(&set("cpus:1"), 1), Placement::Nowhere);

    let license = ResourceName::new("license").expect("a name");
    let asks = |text: &str| model(&[node(1, "cpus:1")], &[]).place(&set(text), 1);
    assert_eq!(asks(&format!("{license}:0")), run(1, 0));
    assert_eq!(asks(&format!("{license}:0.01")), Placement::Nowhere);
}

#[test]
fn a_further_name_counts_only_where_it_is_asked_for() {
    let mut over = node(1, "cpus:4,license:1");
    over.pre.push(set("license:2"));
    let place = |asks: &str| model(&[over.clone()], &["cpus:1", "license:0"]).place(&set(asks), 1);
    assert_eq!(place("cpus:1"), run(1, 1));
    assert_eq!(place("cpus:1,license:1"), reserve(1, 2));
}

#[test]
fn a_type_that_asks_for_what_no_node_has_adds_to_no_score() {
    assert_eq!(model(&[node(1, "cpus:4")], &["cpus:1,sharedmem:1"]).place(&set("cpus:1"), 1), run(1, 0));
}
