//! Circles in graphs of nodes.

/// A circle of nodes, each waiting for the next and the last for the first; none where every node
/// can start some time. `parents[n]` are the nodes that `n` waits for, all of them in range.
///
/// Cost: nodes and dependencies.
pub(super) fn cycle(parents: &[Vec<u32>]) -> Option<Vec<usize>> {
    let stuck = stuck(parents);
    let mut at = stuck.iter().position(|&s| s)?;
    let mut seen = vec![false; parents.len()];
    let mut path = Vec::new();
    while !seen[at] {
        seen[at] = true;
        path.push(at);
        at = parents[at]
            .iter()
            .map(|&p| p as usize)
            .find(|&p| stuck[p])
            .expect("a node is stuck only behind another one");
    }
    let start = path.iter().position(|&n| n == at).expect("it was seen");
    Some(path.split_off(start))
}

/// Which nodes never start: those on a circle or behind one.
fn stuck(parents: &[Vec<u32>]) -> Vec<bool> {
    let mut waits: Vec<usize> = parents.iter().map(Vec::len).collect();
    let mut children = vec![Vec::new(); parents.len()];
    for (node, its) in parents.iter().enumerate() {
        for &parent in its {
            children[parent as usize].push(node);
        }
    }
    let mut ready: Vec<usize> = (0..parents.len()).filter(|&n| waits[n] == 0).collect();
    while let Some(node) = ready.pop() {
        for &child in &children[node] {
            waits[child] -= 1;
            if waits[child] == 0 {
                ready.push(child);
            }
        }
    }
    waits.into_iter().map(|n| n > 0).collect()
}

/// The circle for people: `a -> b -> a`.
pub(super) fn cycle_text<'n>(cycle: &[usize], name: impl Fn(usize) -> &'n str) -> String {
    cycle.iter().chain(cycle.first()).map(|&n| name(n)).collect::<Vec<_>>().join(" -> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found_and_written_from_their_start() {
        let check = |parents: &[&[u32]], expected: Option<&str>| {
            let parents: Vec<Vec<u32>> = parents.iter().map(|p| p.to_vec()).collect();
            let found = cycle(&parents).map(|c| cycle_text(&c, |n| ["a", "b", "c", "d"][n]));
            assert_eq!(found.as_deref(), expected, "{parents:?}");
        };
        check(&[], None);
        check(&[&[], &[0], &[0, 1]], None);
        check(&[&[0]], Some("a -> a"));
        check(&[&[1], &[0]], Some("a -> b -> a"));
        check(&[&[1], &[2], &[1]], Some("b -> c -> b"));
        check(&[&[], &[0, 3], &[1], &[2]], Some("b -> d -> c -> b"));
    }
}
