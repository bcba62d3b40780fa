//! Submissions that were accepted lately, so that the same id again gives the same answer.
//!
//! U1  Of the newest [`SUBMISSIONS_MAX`] that were accepted every one is there, and of older ones none.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::limits::SUBMISSIONS_MAX;
use crate::model::Accepted;

/// See the file.
#[derive(Default)]
pub(crate) struct Submissions {
    by_id: BTreeMap<Arc<str>, (u64, Accepted)>,
    /// In the order in which they came, with their numbers.
    order: VecDeque<(u64, Arc<str>)>,
    n: u64,
}

impl Submissions {
    pub(crate) fn get(&self, id: &str) -> Option<Accepted> {
        self.by_id.get(id).map(|(_, accepted)| *accepted)
    }

    pub(crate) fn insert(&mut self, id: Arc<str>, accepted: Accepted) {
        self.insert_of(id, accepted, SUBMISSIONS_MAX);
    }

    fn insert_of(&mut self, id: Arc<str>, accepted: Accepted, most: usize) {
        self.n += 1;
        self.by_id.insert(id.clone(), (self.n, accepted));
        self.order.push_back((self.n, id));
        while self.order.len() > most {
            let Some((number, id)) = self.order.pop_front() else { return };
            // It may have come again since.
            if self.by_id.get(&id).is_some_and(|(newest, _)| *newest == number) {
                self.by_id.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JobId, RecipeId};

    #[test]
    fn the_oldest_are_forgotten_and_one_that_came_again_is_not() {
        let mut all = Submissions::default();
        let accepted = |n: u64| Accepted {
            first_job: JobId(n),
            n_jobs: 1,
            first_recipe: RecipeId(1),
            n_recipes: 0,
            is_repeat: false,
        };
        for n in 0..4 {
            all.insert_of(format!("{n}").as_str().into(), accepted(n), 3);
        }
        assert_eq!((all.get("0"), all.get("1")), (None, Some(accepted(1))));
        all.insert_of("0".into(), accepted(9), 3);
        all.insert_of("0".into(), accepted(10), 3);
        assert_eq!((all.get("0"), all.get("3")), (Some(accepted(10)), Some(accepted(3))));
        all.insert_of("5".into(), accepted(5), 3);
        all.insert_of("6".into(), accepted(6), 3);
        assert_eq!((all.get("0"), all.get("5")), (Some(accepted(10)), Some(accepted(5))));
        assert_eq!(all.get("3"), None);
        assert_eq!((all.by_id.len(), all.order.len()), (3, 3));
    }
}
