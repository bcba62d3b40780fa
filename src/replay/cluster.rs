//! The simulated cluster: what each node has, and what it has free at this instant.
//!
//! C1  No node gives what it does not have: `take` fails where an execution does not fit.

use std::path::Path;
use std::str::FromStr;

use super::lines::{Line, Lines};
use super::numbers::quantity_up;
use super::trace::{Asks, TraceError};
use crate::limits::{GPU_SLOTS_MAX, NODES_MAX};
use crate::model::{NodeId, NodeResources, Quantity, ResourceName, ResourcesError, THOUSANDTHS};
use crate::offer::Offer;

/// Columns of a machine file: id, name, nodes, processors of a node, speed, KiB of a node.
const MACHINE_COLUMNS: usize = 6;

/// KiB in a MiB.
const KIB: u128 = 1 << 10;

/// Nodes that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeGroup {
    pub(crate) n: u32,
    pub(crate) name: String,
    pub(crate) each: NodeResources,
}

/// Why a cluster cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ClusterError {
    /// A text is no group of nodes.
    #[error("{text:?} is no group of nodes: {source}")]
    Resources {
        /// That text.
        text: String,
        /// What is wrong with it.
        source: ResourcesError,
    },
    /// No number of nodes stands before the `*`.
    #[error("{text:?} is no group of nodes: a number stands before the *, as in 20*cpus:80")]
    Count {
        /// That text.
        text: String,
    },
    /// A line of a machine file is none.
    #[error("{file}:{line}: {what}")]
    Line {
        /// Which file.
        file: String,
        /// Where.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] TraceError),
    /// Nobody said what there is.
    #[error("the trace does not say what machine it is of")]
    Nothing,
    /// More than [`NODES_MAX`].
    #[error("{n} nodes are too many; there may be {NODES_MAX}")]
    TooMany {
        /// How many.
        n: u64,
    },
}

impl FromStr for NodeGroup {
    type Err = ClusterError;

    /// Reads `20*cpus:80,mem:517120`, or `cpus:80` for one node.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (n, each) = text.split_once('*').unwrap_or(("1", text));
        let n = n.trim().parse().ok().filter(|n| *n > 0);
        let n = n.ok_or_else(|| ClusterError::Count { text: text.to_owned() })?;
        let each =
            each.parse().map_err(|source| ClusterError::Resources { text: text.to_owned(), source })?;
        Ok(Self { n, name: "node".to_owned(), each })
    }
}

fn of_cpus(n_cpus: u32) -> NodeResources {
    NodeResources::new().with(ResourceName::CPUS, Quantity::whole(n_cpus.into())).expect("a standard name")
}

/// So many nodes with so many processors in all, as evenly as can be.
pub(super) fn machine(n_nodes: u32, n_cpus: u32) -> Vec<NodeGroup> {
    let n_nodes = n_nodes.clamp(1, n_cpus.max(1));
    let (each, n_more) = (n_cpus / n_nodes, n_cpus % n_nodes);
    let groups = [(n_more, each + 1), (n_nodes - n_more, each)];
    let group = |(n, n_cpus)| NodeGroup { n, name: "node".to_owned(), each: of_cpus(n_cpus) };
    groups.into_iter().filter(|(n, _)| *n > 0).map(group).collect()
}

/// Reads a machine file: a group of nodes a line.
pub(crate) fn machine_file(path: &Path) -> Result<Vec<NodeGroup>, ClusterError> {
    let mut lines = Lines::open(path)?;
    let mut groups = Vec::new();
    while let Some(line) = lines.next()? {
        let group = match &line {
            Line::Text(text) if text.trim().is_empty() => continue,
            Line::Text(text) => machine_line(text),
            Line::TooLong => Err("the line is too long".to_owned()),
        };
        let file = || path.display().to_string();
        groups.push(group.map_err(|what| ClusterError::Line { file: file(), line: lines.number(), what })?);
    }
    Ok(groups)
}

fn machine_line(text: &str) -> Result<NodeGroup, String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != MACHINE_COLUMNS {
        return Err(format!("{} fields; a group of machines has {MACHINE_COLUMNS}", fields.len()));
    }
    let number = |at: usize| {
        let number = fields[at].parse::<u32>().ok().filter(|n| *n > 0);
        number.ok_or_else(|| format!("column {}: {:?} is no number above zero", at + 1, fields[at]))
    };
    let mem = quantity_up(number(5)?.into(), KIB).ok_or("it has too much memory")?;
    let each = of_cpus(number(3)?).with(ResourceName::MEM, mem).expect("a standard name");
    Ok(NodeGroup { n: number(2)?, name: fields[1].to_owned(), each })
}

/// What is used of each resource, or there is of it, in thousandths.
pub(super) type Sums = Vec<u64>;

/// See the file.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    /// What each node has free.
    free: Vec<Offer>,
    totals: Vec<NodeResources>,
    /// Of all nodes.
    total: NodeResources,
    used: Sums,
}

/// The slots of a node's graphics processors; none where there are more than one node can have.
fn n_slots(each: &NodeResources) -> usize {
    let n_gpus = usize::try_from(each.get(ResourceName::GPUS).0 / THOUSANDTHS).unwrap_or(usize::MAX);
    if n_gpus <= GPU_SLOTS_MAX { n_gpus } else { 0 }
}

impl Cluster {
    /// `is_one`: as a single node that has all there is.
    pub(crate) fn new(groups: &[NodeGroup], is_one: bool) -> Result<Self, ClusterError> {
        let n: u64 = groups.iter().map(|group| u64::from(group.n)).sum();
        match n {
            0 => return Err(ClusterError::Nothing),
            n if n > NODES_MAX as u64 => return Err(ClusterError::TooMany { n }),
            _ => {}
        }
        let named = |group: &NodeGroup, at: u32| {
            if group.n == 1 { group.name.clone() } else { format!("{}-{}", group.name, at + 1) }
        };
        let each = |group: &'_ NodeGroup| {
            let group = group.clone();
            (0..group.n).map(move |at| (named(&group, at), group.each.clone()))
        };
        let mut nodes: Vec<(String, NodeResources)> = groups.iter().flat_map(each).collect();
        let total = nodes.iter().fold(NodeResources::new(), |sum, (_, each)| sum.plus(each));
        if is_one {
            nodes = vec![("machine".to_owned(), total.clone())];
        }
        let id = |at: usize| NodeId(u32::try_from(at).expect("at most NODES_MAX") + 1);
        let totals = nodes.iter().map(|(_, each)| each.clone()).collect();
        let free = nodes.into_iter().enumerate();
        let offer = |at: usize, name, each: NodeResources| {
            let n_gpus = n_slots(&each);
            Offer::new(id(at), each).named(name).gpu_slots(n_gpus)
        };
        let free = free.map(|(at, (name, each))| offer(at, name, each)).collect();
        let used = vec![0; total.iter().len()];
        Ok(Self { free, totals, total, used })
    }

    pub(crate) fn n_nodes(&self) -> usize {
        self.free.len()
    }

    /// Whether graphics processors are slots, wherever there are some.
    pub(crate) fn has_slots(&self) -> bool {
        let have = self.totals.iter().filter(|total| total.get(ResourceName::GPUS).0 >= THOUSANDTHS);
        let mut slots = have.map(n_slots).peekable();
        slots.peek().is_some() && slots.all(|n| n > 0)
    }

    /// What all nodes have.
    pub(crate) fn total(&self) -> &NodeResources {
        &self.total
    }

    /// What is used of it, in the order of its names.
    pub(super) fn used(&self) -> &[u64] {
        &self.used
    }

    /// What a node has free.
    pub(super) fn offer(&self, node: usize) -> &Offer {
        &self.free[node]
    }

    /// The node of that id.
    pub(super) fn place_of(node: NodeId) -> usize {
        node.0 as usize - 1
    }

    /// True where one of the nodes has as much when nothing runs there.
    pub(super) fn ever_fits(&self, asked: &NodeResources) -> bool {
        self.totals.iter().any(|total| total.minus(asked).is_some())
    }

    /// Most processors of a node, whole ones.
    fn most_cpus(&self) -> u64 {
        let cpus = self.totals.iter().map(|total| total.get(ResourceName::CPUS).0 / THOUSANDTHS);
        cpus.max().unwrap_or(0)
    }

    fn count(&mut self, asked: &NodeResources, count: impl Fn(u64, u64) -> u64) {
        for ((name, _), used) in self.total.iter().zip(&mut self.used) {
            *used = count(*used, asked.get(name.as_str()).0);
        }
    }

    /// An execution starts.
    ///
    /// # Panics
    /// Where it does not fit. C1
    pub(super) fn take(&mut self, node: usize, asked: &NodeResources) {
        let offer = &mut self.free[node];
        let rest = offer.free.minus(asked);
        offer.free =
            rest.unwrap_or_else(|| panic!("C1: {asked} on {}, which has {} free", offer.name, offer.free));
        self.count(asked, |used, more| used + more);
    }

    /// An execution has ended.
    pub(super) fn give(&mut self, node: usize, asked: &NodeResources) {
        self.free[node].free = self.free[node].free.plus(asked);
        self.count(asked, |used, less| used - less);
    }

    /// Holds that nothing is used.
    ///
    /// # Panics
    /// Where something is.
    pub(super) fn check_idle(&self) {
        let is_idle = self.free.iter().zip(&self.totals).all(|(offer, total)| offer.free == *total);
        assert!(is_idle && self.used.iter().all(|used| *used == 0), "V2: something is still used");
    }

    /// What the executions of a record ask for, and how many ask for that: one, or where parts are spread, one
    /// for each node it ran on; else as few as the largest node allows. Processors are shared out evenly, and
    /// memory with them. Memory is asked for where the cluster says how much it has.
    pub(super) fn parts(&self, asks: &Asks, is_spread: bool) -> Vec<(u32, NodeResources)> {
        let n_cpus = asks.cpus.0 / THOUSANDTHS;
        let n_parts = match asks.n_parts {
            _ if !is_spread => 1,
            Some(n) => n.into(),
            None => n_cpus.div_ceil(self.most_cpus().max(1)).max(1),
        };
        let (each, n_more) = (n_cpus / n_parts, n_cpus % n_parts);
        let part = |n_cpus: u64| {
            let cpus = if n_parts == 1 { asks.cpus } else { Quantity::whole(n_cpus) };
            self.part(asks, cpus)
        };
        let count = |n: u64| u32::try_from(n).expect("no more than processors");
        let mut parts = Vec::new();
        if n_more > 0 {
            parts.push((count(n_more), part(each + 1)));
        }
        parts.push((count(n_parts - n_more), part(each)));
        parts
    }

    fn part(&self, asks: &Asks, cpus: Quantity) -> NodeResources {
        let share = u128::from(asks.mem.0) * u128::from(cpus.0);
        let mem = share.div_ceil(u128::from(asks.cpus.0.max(1)));
        let mem = if asks.cpus == cpus { asks.mem } else { Quantity(u64::try_from(mem).unwrap_or(u64::MAX)) };
        let has_mem = self.total.get(ResourceName::MEM) > Quantity::ZERO;
        let amounts = [
            (ResourceName::CPUS, cpus),
            (ResourceName::MEM, if has_mem { mem } else { Quantity::ZERO }),
            (ResourceName::GPUS, asks.gpus),
        ];
        let of = |set: NodeResources, (name, amount): (&str, Quantity)| {
            if amount == Quantity::ZERO { set } else { set.with(name, amount).expect("standard names") }
        };
        amounts.into_iter().fold(NodeResources::new(), of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> NodeResources {
        text.parse().expect("resources")
    }

    fn cluster(groups: &[&str], is_one: bool) -> Cluster {
        let groups: Vec<NodeGroup> = groups.iter().map(|text| text.parse().expect("a group")).collect();
        Cluster::new(&groups, is_one).expect("a cluster")
    }

    #[test]
    fn a_machine_is_shared_out_evenly() {
        let told = |n_nodes, n_cpus| {
            let groups = machine(n_nodes, n_cpus);
            groups.iter().map(|group| format!("{}*{}", group.n, group.each)).collect::<Vec<_>>()
        };
        assert_eq!(told(151, 2_004), ["41*cpus:14", "110*cpus:13"]);
        assert_eq!(told(4, 8), ["4*cpus:2"]);
        assert_eq!(told(9, 8), ["8*cpus:1"], "no node without a processor");
    }

    #[test]
    fn groups_are_read_and_bad_ones_say_why() {
        let group: NodeGroup = "20*cpus:80,mem:512".parse().expect("a group");
        assert_eq!((group.n, group.each), (20, set("cpus:80,mem:512")));
        assert_eq!("cpus:1".parse::<NodeGroup>().map(|group| group.n).expect("one"), 1);
        for bad in ["0*cpus:1", "x*cpus:1", "2*cpus", "-1*cpus:1"] {
            let error = bad.parse::<NodeGroup>().expect_err(bad).to_string();
            assert!(error.contains("no group of nodes"), "{error}");
        }
        assert!(matches!(Cluster::new(&[], false), Err(ClusterError::Nothing)));
        let many: Vec<NodeGroup> = vec!["4000000000*cpus:1".parse().expect("a group"); 2];
        assert!(matches!(Cluster::new(&many, false), Err(ClusterError::TooMany { n: 8_000_000_000 })));
    }

    #[test]
    fn a_machine_file_is_read_line_by_line() {
        let group = machine_line("0\tzewura\t20\t80\t1\t1048576").expect("a group");
        assert_eq!((group.n, group.name.as_str(), group.each), (20, "zewura", set("cpus:80,mem:1024")));
        assert!(machine_line("0 a 20 80 1").expect_err("short").contains("5 fields"));
        assert!(machine_line("0 a 20 x 1 1").expect_err("no number").contains("column 4"));
    }

    #[test]
    fn parts_share_processors_and_memory() {
        let asks = Asks { cpus: Quantity::whole(10), mem: Quantity::whole(20), ..Asks::default() };
        let told = |cluster: &Cluster, asks: &Asks, is_spread| {
            let parts = cluster.parts(asks, is_spread);
            parts.iter().map(|(n, part)| format!("{n}*{part}")).collect::<Vec<_>>()
        };
        let nodes = cluster(&["3*cpus:4,mem:100"], false);
        assert_eq!(told(&nodes, &asks, true), ["1*cpus:4,mem:8", "2*cpus:3,mem:6"]);
        assert_eq!(told(&nodes, &asks, false), ["1*cpus:10,mem:20"]);
        let on_five = Asks { n_parts: Some(5), ..asks };
        assert_eq!(told(&nodes, &on_five, true), ["5*cpus:2,mem:4"]);
        assert_eq!(told(&cluster(&["cpus:12"], true), &asks, true), ["1*cpus:10"], "no memory is known");
        let share = Asks { cpus: Quantity(500), gpus: Quantity(460), ..Asks::default() };
        assert_eq!(told(&nodes, &share, false), ["1*cpus:0.5,gpus:0.46"]);
    }

    #[test]
    fn what_is_taken_is_given_back() {
        let mut nodes = cluster(&["2*cpus:4", "cpus:2,mem:8"], false);
        assert_eq!((nodes.n_nodes(), nodes.total().to_string()), (3, "cpus:10,mem:8".to_owned()));
        nodes.take(2, &set("cpus:1.5,mem:8"));
        assert_eq!(
            (nodes.used(), nodes.offer(2).free.to_string()),
            (&[1_500, 8_000][..], "cpus:0.5,mem:0".into())
        );
        assert!(nodes.ever_fits(&set("cpus:4")) && !nodes.ever_fits(&set("cpus:4,mem:1")));
        nodes.give(2, &set("cpus:1.5,mem:8"));
        nodes.check_idle();
        let one = cluster(&["2*cpus:4", "cpus:2,mem:8"], true);
        assert_eq!((one.n_nodes(), one.offer(0).free.to_string()), (1, "cpus:10,mem:8".to_owned()));
    }

    #[test]
    #[should_panic(expected = "C1: cpus:5 on node")]
    fn no_node_gives_what_it_does_not_have() {
        cluster(&["cpus:4"], false).take(0, &set("cpus:5"));
    }
}
