//! Edges between jobs.
//!
//! G1  `n_unmet` of a job is the number of its parents that are not COMPLETED.
//! G2  A job is here while it is not over and has parents, or while a child of it is not over. One that is
//!     over has the parents it would wait for again, if any, and does not count as a child.
//! G3  An edge leads between jobs of one recipe, and there is no circle: whoever makes edges asks
//!     `find_cycle` first.

use foldhash::HashMap;

use crate::model::{JobId, JobStatus};

#[derive(Clone, Debug, Default)]
struct Node {
    parents: Vec<JobId>,
    /// By id. Some may not wait any more.
    children: Vec<JobId>,
    n_unmet: u32,
    /// Children that are not over.
    n_open: u32,
    is_over: bool,
}

/// The edges of all recipes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph(HashMap<JobId, Node>);

impl Graph {
    /// Lets `child` wait for `parents`, of which `n_unmet` are not completed. One that waits already goes
    /// on as it does.
    ///
    /// Cost: the parents, and for each the children of greater ids that it had before.
    pub(crate) fn add(
        &mut self,
        child: JobId,
        parents: &[JobId],
        n_unmet: u32,
        is_over: impl Fn(JobId) -> bool,
    ) {
        let node = self.0.entry(child).or_default();
        if node.is_over || !node.parents.is_empty() {
            return;
        }
        node.parents = parents.to_vec();
        node.n_unmet = n_unmet;
        for &parent in parents {
            let new = || Node { is_over: is_over(parent), ..Node::default() };
            let node = self.0.entry(parent).or_insert_with(new);
            node.n_open += 1;
            if node.children.last().is_none_or(|last| *last < child) {
                node.children.push(child);
            } else if let Err(at) = node.children.binary_search(&child) {
                node.children.insert(at, child);
            }
        }
    }

    /// Takes note of what a job that is over would wait for again.
    pub(crate) fn keep(&mut self, job: JobId, parents: &[JobId]) {
        let node = self.0.entry(job).or_default();
        node.is_over = true;
        node.parents = parents.to_vec();
    }

    /// The jobs `job` waits for, or would again, in the order given.
    pub(crate) fn parents(&self, job: JobId) -> &[JobId] {
        self.0.get(&job).map_or(&[], |node| &node.parents)
    }

    /// The jobs that wait for `job` or did, by id.
    pub(crate) fn children(&self, job: JobId) -> &[JobId] {
        self.0.get(&job).map_or(&[], |node| &node.children)
    }

    /// True where nothing it waits for is missing.
    pub(crate) fn is_ready(&self, job: JobId) -> bool {
        self.0.get(&job).is_none_or(|node| node.n_unmet == 0)
    }

    /// Takes note that `job` completed. Cost: its children.
    pub(crate) fn complete(&mut self, job: JobId) {
        for child in self.children(job).to_vec() {
            if let Some(node) = self.0.get_mut(&child) {
                node.n_unmet = node.n_unmet.saturating_sub(1);
            }
        }
    }

    /// True while somebody who is not over waits, or waited, for `job`.
    pub(crate) fn has_open_children(&self, job: JobId) -> bool {
        self.0.get(&job).is_some_and(|node| node.n_open > 0)
    }

    /// Takes note that `job` is over and would wait for `again` if it were taken up, and forgets what
    /// nobody asks for any more: of those of its parents that are over and now without open children `free`
    /// is told, with what they would wait for. Gives what `job` would wait for, once it is forgotten itself.
    ///
    /// Cost: its parents.
    pub(crate) fn end(
        &mut self,
        job: JobId,
        again: Vec<JobId>,
        mut free: impl FnMut(JobId, Vec<JobId>),
    ) -> Vec<JobId> {
        let Some(node) = self.0.get_mut(&job) else { return again };
        let was_over = std::mem::replace(&mut node.is_over, true);
        let parents = if was_over { Vec::new() } else { std::mem::replace(&mut node.parents, again) };
        let is_needed = node.n_open > 0;
        for parent in parents {
            let Some(node) = self.0.get_mut(&parent) else { continue };
            node.n_open = node.n_open.saturating_sub(1);
            if node.n_open == 0 && node.is_over {
                free(parent, self.forget(parent));
            }
        }
        if is_needed { Vec::new() } else { self.forget(job) }
    }

    fn forget(&mut self, job: JobId) -> Vec<JobId> {
        self.0.remove(&job).map(|node| node.parents).unwrap_or_default()
    }

    /// Takes note that a job that was over is not any more, and gives what it is to wait for again.
    pub(crate) fn reopen(&mut self, job: JobId) -> Vec<JobId> {
        match self.0.get_mut(&job).filter(|node| node.is_over) {
            Some(node) => {
                node.is_over = false;
                std::mem::take(&mut node.parents)
            }
            None => Vec::new(),
        }
    }

    /// Holds G1 and G2 against a recount; `status` tells of the jobs that are in memory.
    ///
    /// # Panics
    /// Where they do not hold.
    pub(crate) fn check_invariants(&self, status: impl Fn(JobId) -> Option<JobStatus>) {
        let is_unmet = |job: &&JobId| status(**job).is_some_and(|status| status != JobStatus::Completed);
        let mut n_open: HashMap<JobId, u32> = HashMap::default();
        for node in self.0.values().filter(|node| !node.is_over) {
            node.parents.iter().for_each(|parent| *n_open.entry(*parent).or_default() += 1);
        }
        for (job, node) in &self.0 {
            assert_eq!(node.n_open, n_open.get(job).copied().unwrap_or_default(), "G2: {job}");
            assert!(node.n_open > 0 || status(*job).is_some(), "G2: {job}");
            if !node.is_over && !node.parents.is_empty() {
                assert_eq!(node.n_unmet as usize, node.parents.iter().filter(is_unmet).count(), "G1: {job}");
            }
        }
    }

    /// Everything behind `jobs` for which `wants` says yes, found through such jobs only, once
    /// each, by id. Cost: the edges of what is found.
    pub(crate) fn descendants(&self, jobs: &[JobId], wants: impl Fn(JobId) -> bool) -> Vec<JobId> {
        let mut found = Vec::new();
        let mut seen = foldhash::HashSet::default();
        let mut stack = jobs.to_vec();
        while let Some(next) = stack.pop() {
            for &child in self.children(next) {
                if wants(child) && seen.insert(child) {
                    found.push(child);
                    stack.push(child);
                }
            }
        }
        found.sort_unstable();
        found
    }
}

/// A circle among nodes given by the places of their parents, first node first; `None` where there
/// is none. Places out of range are not edges.
pub(crate) fn find_cycle<P: AsRef<[u32]>>(parents: &[P]) -> Option<Vec<usize>> {
    let n = parents.len();
    let edges = |node: usize| {
        parents[node].as_ref().iter().map(|&parent| parent as usize).filter(move |&parent| parent < n)
    };
    let mut n_unmet: Vec<usize> = (0..n).map(|node| edges(node).count()).collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); n];
    for node in 0..n {
        edges(node).for_each(|parent| children[parent].push(node));
    }
    let mut ready: Vec<usize> = (0..n).filter(|&node| n_unmet[node] == 0).collect();
    while let Some(node) = ready.pop() {
        for &child in &children[node] {
            n_unmet[child] -= 1;
            if n_unmet[child] == 0 {
                ready.push(child);
            }
        }
    }
    // Every node left has a parent that is left: following such parents ends in the circle.
    let start = (0..n).find(|&node| n_unmet[node] > 0)?;
    let mut path = vec![start];
    let mut place_in_path = vec![None; n];
    place_in_path[start] = Some(0);
    loop {
        let last = *path.last().expect("it starts with one");
        let next = edges(last).find(|&parent| n_unmet[parent] > 0).expect("a node left has such a parent");
        if let Some(at) = place_in_path[next].replace(path.len()) {
            let mut circle = path.split_off(at);
            circle.reverse();
            return Some(circle);
        }
        path.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completed_job_readies_only_those_that_waited_for_it_alone() {
        let mut graph = Graph::default();
        let [a, b, c] = [1, 2, 3].map(JobId);
        graph.add(c, &[a, b], 2, |_| false);
        graph.complete(a);
        assert!(!graph.is_ready(c));
        graph.complete(b);
        assert!(graph.is_ready(c) && graph.is_ready(a));
        assert_eq!((graph.children(a), graph.parents(c)), (&[c][..], &[a, b][..]));
    }

    #[test]
    fn descendants_are_found_once_each() {
        let mut graph = Graph::default();
        let [a, b, c, d] = [1, 2, 3, 4].map(JobId);
        let mut add = |job, parents: &[JobId], n| graph.add(job, parents, n, |_| false);
        add(b, &[a], 1);
        add(c, &[a], 1);
        add(d, &[b, c], 2);
        assert_eq!(graph.descendants(&[a], |_| true), [b, c, d]);
        assert_eq!(graph.descendants(&[a, b], |job| job != b), [c, d]);
    }

    #[test]
    fn circles_are_found_and_trees_are_not() {
        let check = |parents: &[&[u32]], expected: Option<&[usize]>| {
            assert_eq!(find_cycle(parents).as_deref(), expected, "{parents:?}");
        };
        check(&[], None);
        check(&[&[], &[0], &[0, 1]], None);
        check(&[&[0]], Some(&[0]));
        check(&[&[], &[2, 0], &[1]], Some(&[2, 1]));
        check(&[&[9], &[0]], None);
    }
}
