//! What a pass has to give, by plain loops over all entries and all nodes.

use weighbridge::{PassPick, Score};

use crate::workload::{Four, Node, Waiting};

/// Execution and node.
pub(crate) type Placed = (u64, u32);

fn signed(four: Four) -> [i64; 4] {
    four.map(|amount| i64::try_from(amount).expect("small"))
}

fn minus(a: [i64; 4], b: [i64; 4]) -> [i64; 4] {
    std::array::from_fn(|at| a[at] - b[at])
}

fn covers(have: [i64; 4], asks: [i64; 4]) -> bool {
    have.iter().zip(asks).all(|(have, ask)| *have >= ask)
}

/// Places the first `most` executions that fit, in order.
pub(crate) fn pass(
    score: Score,
    nodes: &[Node],
    types: &[Four],
    waiting: &[Waiting],
    most: usize,
) -> Vec<Placed> {
    let mut order: Vec<&Waiting> = waiting.iter().collect();
    order.sort_by_key(|waiting| (waiting.priority, waiting.queued, waiting.id));
    let mut free: Vec<[i64; 4]> = nodes.iter().map(|node| signed(node.free)).collect();
    let types: Vec<[i64; 4]> = types.iter().map(|asks| signed(*asks)).collect();
    let mut largest = [1; 4];
    for node in nodes {
        for (largest, have) in largest.iter_mut().zip(signed(node.total)) {
            *largest = have.max(*largest);
        }
    }
    let mut placed = Vec::new();
    for waiting in order {
        if placed.len() == most {
            break;
        }
        let asks = signed(waiting.asks);
        let mut best: Option<(u64, usize)> = None;
        for (at, have) in free.iter().enumerate() {
            if !covers(*have, asks) {
                continue;
            }
            let rest = minus(*have, asks);
            let score = match score {
                Score::Scale => types.iter().filter(|asks| covers(rest, **asks)).count() as u64,
                Score::BestFit => left_over(rest, largest),
                _ => (1 << 62) - left_over(rest, largest),
            };
            if best.is_none_or(|(least, _)| score < least) {
                best = Some((score, at));
            }
        }
        if let Some((_, at)) = best {
            free[at] = minus(free[at], asks);
            placed.push((waiting.id, nodes[at].id));
        }
    }
    placed
}

/// What is left over, as shares of the largest node.
fn left_over(rest: [i64; 4], largest: [i64; 4]) -> u64 {
    let share = |at: usize| {
        let factor = (1_u64 << 46) / largest[at].cast_unsigned();
        rest[at].cast_unsigned() * factor
    };
    (0..4).map(share).sum()
}

/// The same of picks.
pub(crate) fn placed(picks: &[PassPick]) -> Vec<Placed> {
    picks.iter().map(|pick| (pick.entry.id.0, pick.node.0)).collect()
}

/// A number for what was placed.
pub(crate) fn hash(placed: &[Placed]) -> u64 {
    placed.iter().fold(0xcbf2_9ce4_8422_2325, |hash, (exe, node)| {
        [*exe, u64::from(*node)].iter().fold(hash, |hash, part| (hash ^ part).wrapping_mul(0x0100_0000_01b3))
    })
}
