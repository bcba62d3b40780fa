//! The decision round: what of the queue starts where, at one instant, out of what nodes have free. Either
//! over all nodes at once, or node by node.
//!
//! R1  After a round by offers nothing is queued that fits what a node has free. So where nothing arrived since
//!     the last one, only nodes on which something ended are worth an offer.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::cluster::Cluster;
use crate::engine::{Engine, PendingLaunches, Picks, TicketError};
use crate::limits::PICKS_MAX;
use crate::model::{JobId, LaunchName, NodeResources};

/// How long a launch may take to the disk.
const LAUNCH_WAIT: Duration = Duration::from_mins(1);

/// An execution that starts.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(super) name: LaunchName,
    pub(super) job: JobId,
    /// Its place in the cluster.
    pub(super) node: usize,
    pub(super) asked: Arc<NodeResources>,
}

/// What happened since the last round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since<'s> {
    /// How many executions are queued.
    pub(super) n_queued: usize,
    /// Something arrived.
    pub(super) has_arrivals: bool,
    /// Nodes on which something ended.
    pub(super) ended: &'s BTreeSet<usize>,
}

/// Decides at one instant. What starts is taken of the cluster.
pub(crate) trait Round {
    /// # Errors
    /// Where the log does not take the launches.
    fn decide(
        &mut self,
        engine: &Engine,
        cluster: &mut Cluster,
        since: Since<'_>,
    ) -> Result<Vec<Placed>, TicketError<Infallible>>;

    /// How many decisions it made so far: passes, or offers.
    fn n_decisions(&self) -> u64;
}

/// Puts picks on record and takes what starts of the cluster.
fn started(
    launches: &mut PendingLaunches,
    cluster: &mut Cluster,
    placed: &mut Vec<Placed>,
) -> Result<(), TicketError<Infallible>> {
    for launch in launches.wait(LAUNCH_WAIT)? {
        let launch = launch.into_inner();
        let node = Cluster::place_of(launch.node);
        cluster.take(node, &launch.resources);
        placed.push(Placed { name: launch.name, job: launch.job, node, asked: launch.resources });
    }
    Ok(())
}

/// A round by passes: the engine knows all nodes, and decides over them at once by its policy.
#[derive(Debug, Default)]
pub(crate) struct Passes {
    n_passes: u64,
}

impl Passes {
    /// Declares the nodes of `cluster`, on which nothing runs yet.
    pub(crate) fn new(engine: &Engine, cluster: &Cluster) -> Self {
        (0..cluster.n_nodes()).for_each(|node| engine.declare(cluster.offer(node)));
        Self::default()
    }
}

impl Round for Passes {
    fn decide(
        &mut self,
        engine: &Engine,
        cluster: &mut Cluster,
        _: Since<'_>,
    ) -> Result<Vec<Placed>, TicketError<Infallible>> {
        let mut placed = Vec::new();
        loop {
            self.n_passes += 1;
            let picks = engine.pass();
            let n_picks: usize = picks.iter().map(Picks::len).sum();
            let mut all: Vec<PendingLaunches> = picks.into_iter().map(Picks::commit).collect();
            all.iter_mut().try_for_each(|launches| started(launches, cluster, &mut placed))?;
            if n_picks < PICKS_MAX {
                return Ok(placed);
            }
        }
    }

    fn n_decisions(&self) -> u64 {
        self.n_passes
    }
}

/// A round by offers: each node that has something free is offered, one after the other.
#[derive(Debug)]
pub(crate) struct Offers {
    /// Nodes in the order in which they are offered, and the place of each of them in it.
    order: Vec<usize>,
    place: Vec<usize>,
    n_offers: u64,
}

/// The next number of a sequence.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut x = *state;
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

impl Offers {
    /// Nodes are offered in the order they are listed in, or where there is a seed, in one that is drawn from it.
    pub(crate) fn new(n_nodes: usize, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..n_nodes).collect();
        if seed != 0 {
            let mut state = seed;
            order.sort_by_cached_key(|_| draw(&mut state));
        }
        let mut place = vec![0; n_nodes];
        order.iter().enumerate().for_each(|(at, node)| place[*node] = at);
        Self { order, place, n_offers: 0 }
    }

    /// Those that are worth an offer, in order. R1
    fn due(&self, since: Since<'_>) -> Vec<usize> {
        if since.has_arrivals {
            return self.order.clone();
        }
        let mut due: Vec<usize> = since.ended.iter().copied().collect();
        due.sort_by_key(|node| self.place[*node]);
        due
    }

    /// Offers a node once. True where it may have room for more.
    fn offer(
        &mut self,
        engine: &Engine,
        cluster: &mut Cluster,
        node: usize,
        placed: &mut Vec<Placed>,
    ) -> Result<bool, TicketError<Infallible>> {
        self.n_offers += 1;
        let picks = engine.offer(cluster.offer(node));
        if picks.is_empty() {
            return Ok(false);
        }
        let is_cut = picks.len() == PICKS_MAX;
        started(&mut picks.commit(), cluster, placed)?;
        Ok(is_cut)
    }
}

impl Round for Offers {
    fn decide(
        &mut self,
        engine: &Engine,
        cluster: &mut Cluster,
        since: Since<'_>,
    ) -> Result<Vec<Placed>, TicketError<Infallible>> {
        let mut placed = Vec::new();
        for node in self.due(since) {
            while placed.len() < since.n_queued && !cluster.offer(node).free.is_zero() {
                if !self.offer(engine, cluster, node, &mut placed)? {
                    break;
                }
            }
        }
        Ok(placed)
    }

    fn n_decisions(&self) -> u64 {
        self.n_offers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_an_order_of_all_nodes_and_none_leaves_it() {
        let listed: Vec<usize> = (0..50).collect();
        assert_eq!(Offers::new(50, 0).order, listed);
        let drawn = Offers::new(50, 7);
        assert_ne!(drawn.order, listed);
        assert_eq!(drawn.order, Offers::new(50, 7).order);
        assert_ne!(drawn.order, Offers::new(50, 8).order);
        assert_eq!(drawn.order.iter().copied().collect::<BTreeSet<_>>().len(), 50);
        let ended = BTreeSet::from([3, 4, 5]);
        let due = drawn.due(Since { n_queued: 1, has_arrivals: false, ended: &ended });
        assert!(due.len() == 3 && due.is_sorted_by_key(|node| drawn.place[*node]));
        assert_eq!(drawn.due(Since { n_queued: 1, has_arrivals: true, ended: &ended }), drawn.order);
    }
}
