//! Edges between jobs.
//!
//! G1  `n_unmet` of a job is the number of its parents that are not COMPLETED.
//! G2  A job is here while it is not over and has parents, or while a child of it is not over.
//! G3  An edge leads between jobs of one recipe, and there is no circle: whoever makes edges asks
//!     `find_cycle` first.

use foldhash::HashMap;

use crate::model::JobId;

#[derive(Clone, Debug, Default)]
struct Node {
    parents: Vec<JobId>,
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
    /// Lets `child` wait for `parents`, of which `n_unmet` are not completed.
    pub(crate) fn add(&mut self, child: JobId, parents: &[JobId], n_unmet: u32) {
        for parent in parents {
            let node = self.0.entry(*parent).or_default();
            node.children.push(child);
            node.n_open += 1;
        }
        let node = self.0.entry(child).or_default();
        node.parents.extend(parents);
        node.n_unmet += n_unmet;
    }

    /// The jobs `job` waits for, in the order given.
    pub(crate) fn parents(&self, job: JobId) -> &[JobId] {
        self.0.get(&job).map_or(&[], |node| &node.parents)
    }

    /// The jobs that wait for `job`, in the order they were made.
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

    /// Takes note that `job` is over, and forgets what nobody asks for any more. Those of its
    /// parents that are over and now without open children are given to `free`. Cost: its parents.
    pub(crate) fn end(&mut self, job: JobId, mut free: impl FnMut(JobId)) {
        let Some(node) = self.0.get_mut(&job).filter(|node| !node.is_over) else { return };
        node.is_over = true;
        let parents = std::mem::take(&mut node.parents);
        if node.n_open == 0 {
            self.0.remove(&job);
        }
        for parent in parents {
            let Some(node) = self.0.get_mut(&parent) else { continue };
            node.n_open = node.n_open.saturating_sub(1);
            if node.n_open == 0 && node.is_over {
                self.0.remove(&parent);
                free(parent);
            }
        }
    }

    /// Takes note that a job that was over is taken up again.
    pub(crate) fn recall(&mut self, job: JobId) {
        if let Some(node) = self.0.get_mut(&job) {
            node.is_over = false;
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
        graph.add(c, &[a, b], 2);
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
        graph.add(b, &[a], 1);
        graph.add(c, &[a], 1);
        graph.add(d, &[b, c], 2);
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
