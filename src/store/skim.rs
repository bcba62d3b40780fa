//! Pieces of creations: one is found without making anything of those before it.

use std::sync::Arc;

use bincode::BorrowDecode;

use super::file::{CODEC, damaged};
use super::recovery::OpenError;
use crate::model::{Creation, IS_GIVEN, JobId, NodeResources};

/// The fields of a [`Creation`] in their order, borrowed where they are long.
#[derive(BorrowDecode)]
struct Skimmed<'p> {
    first: u64,
    _job_type: u32,
    count: u32,
    tenant: u32,
    _priority: Option<i32>,
    _resources: Option<NodeResources>,
    _values: Vec<(&'p str, &'p str)>,
}

/// The fields of a [`Given`](crate::model::Given).
#[derive(BorrowDecode)]
struct SkimmedGiven<'p> {
    _input: &'p str,
    _input_mib: Option<u64>,
    _configuration: &'p str,
    _event: Option<u64>,
    _batch: Option<u64>,
    _revision: Option<u32>,
    _superseded_job: Option<u64>,
    _root_superseded_job: Option<u64>,
}

/// What follows what was given.
type SkimmedRecipe<'p> = Option<(u64, &'p str)>;

/// Skims one creation; with its bytes.
fn skim(rest: &[u8]) -> Result<(Skimmed<'_>, usize), OpenError> {
    let (skimmed, mut n_bytes): (Skimmed<'_>, usize) =
        bincode::borrow_decode_from_slice(rest, CODEC).map_err(damaged)?;
    let rest_at = |n: usize| rest.get(n..).unwrap_or_default();
    if skimmed.tenant & IS_GIVEN != 0 {
        let (_, n): (SkimmedGiven<'_>, usize) =
            bincode::borrow_decode_from_slice(rest_at(n_bytes), CODEC).map_err(damaged)?;
        n_bytes += n;
    }
    let (_, n): (SkimmedRecipe<'_>, usize) =
        bincode::borrow_decode_from_slice(rest_at(n_bytes), CODEC).map_err(damaged)?;
    Ok((skimmed, n_bytes + n))
}

/// What the first ones of these jobs, which are sorted, were given, out of the piece that begins with
/// `first`: as far as they are in there.
///
/// Cost: the piece up to there, and its checksum.
pub(super) fn creations_in(
    piece: &[u8],
    first: u64,
    mut ids: &[JobId],
) -> Result<Vec<Arc<Creation>>, OpenError> {
    let (crc, mut rest) = piece.split_first_chunk::<4>().ok_or_else(|| damaged("a value is cut short"))?;
    if crc32fast::hash(rest) != u32::from_le_bytes(*crc) {
        return Err(damaged("the checksum of a value does not match"));
    }
    let mut found = Vec::new();
    let mut is_first = true;
    while let Some(id) = ids.first().filter(|_| !rest.is_empty()) {
        let (skimmed, n_bytes) = skim(rest)?;
        if std::mem::take(&mut is_first) && skimmed.first != first {
            return Err(damaged(format!("creations under {first} are others")));
        }
        if skimmed.first > id.0 {
            break;
        }
        let end = skimmed.first.saturating_add(u64::from(skimmed.count));
        let (these, others) = ids.split_at(ids.partition_point(|id| id.0 < end));
        if !these.is_empty() {
            let (creation, _) = bincode::decode_from_slice(rest, CODEC).map_err(damaged)?;
            let creation: Arc<Creation> = Arc::new(creation);
            found.extend(these.iter().map(|_| creation.clone()));
        }
        ids = others;
        rest = &rest[n_bytes..];
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JobRequest, JobTypeId, RecipeId, RecipeNodes, TenantId};

    #[test]
    fn every_creation_is_found_as_it_was_written() {
        let mut all = Vec::new();
        for n in 0..40_u32 {
            let mut request = JobRequest::new(JobTypeId(n)).count(1 + n % 4);
            request.tenant = TenantId(n);
            if n % 2 == 0 {
                request = request.priority(-7).values([("ä", "x".repeat(n as usize)), ("", String::new())]);
            }
            if n % 3 == 0 {
                request =
                    request.needs(NodeResources::new().mem_mib(u64::from(n)).cpus("0.5").expect("cpus"));
            }
            if n % 7 < 2 {
                let mut given = crate::model::Given { input: "{}".into(), ..Default::default() };
                given.input_mib = (n % 7 == 1).then_some(5);
                given.batch = (n % 2 == 1).then_some(crate::model::BatchId(9));
                request = request.given(given);
            }
            let recipe =
                (n % 5 == 0).then(|| RecipeNodes { recipe: RecipeId(n.into()), name: "node".into() });
            all.push(Creation { first: JobId(u64::from(n) * 10), request, recipe });
        }
        let piece = super::super::file::seal(&all);
        for id in 0..420 {
            let expected = all.iter().find(|creation| creation.holds(JobId(id)));
            let found = creations_in(&piece, 0, &[JobId(id)]).expect("sound");
            assert_eq!(found.first().map(|found| &**found), expected, "{id}");
        }
        let ids: Vec<JobId> = (0..400).map(JobId).filter(|id| all.iter().any(|all| all.holds(*id))).collect();
        let found = creations_in(&piece, 0, &ids).expect("sound");
        assert!(found.len() == ids.len() && found.iter().zip(&ids).all(|(found, id)| found.holds(*id)));
        let before_a_gap = creations_in(&piece, 0, &[JobId(0), JobId(9), JobId(10)]).expect("sound");
        assert_eq!(before_a_gap.len(), 1);
        assert!(creations_in(&piece, 1, &[JobId(3)]).is_err(), "under another key");
        for at in 0..piece.len() {
            let mut bad = piece.clone();
            bad[at] ^= 4;
            assert!(creations_in(&bad, 0, &[JobId(3)]).is_err(), "byte {at}");
        }
    }
}
