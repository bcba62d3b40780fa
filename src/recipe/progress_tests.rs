//! The state of a recipe against the model, over random graphs and changes.

use std::sync::Arc;

use proptest::prelude::*;

use crate::model::JobStatus;

use super::{Action, Kind, NodeState, Plan, RecipeState, evaluate};

const STATUSES: [JobStatus; 7] = [
    JobStatus::Pending,
    JobStatus::Blocked,
    JobStatus::Queued,
    JobStatus::Running,
    JobStatus::Failed,
    JobStatus::Completed,
    JobStatus::Canceled,
];

/// A node: its kind, and bits that say which earlier nodes are its parents, and with which verdict.
type Stated = (u8, u16, u16);

fn plan_of(stated: &[Stated]) -> Arc<Plan> {
    let kind = |kind: u8| match kind {
        0 => Kind::SubRecipe,
        1 | 2 => Kind::Condition,
        _ => Kind::Job,
    };
    let kinds = stated.iter().map(|(number, ..)| kind(*number)).collect();
    let parents = stated.iter().enumerate().map(|(at, (_, which, verdicts))| {
        let earlier = 0..u32::try_from(at).expect("few nodes");
        earlier.filter(|bit| which >> bit & 1 == 1).map(|bit| (bit, verdicts >> bit & 1 == 1)).collect()
    });
    Arc::new(Plan::new(kinds, parents.collect()).expect("parents are earlier nodes"))
}

fn states_of(state: &RecipeState, plan: &Plan) -> Vec<NodeState> {
    (0_u32..).take(plan.len()).map(|node| state.state(node)).collect()
}

/// Makes one change of any kind.
fn change(state: &mut RecipeState, plan: &Plan, (node, what, flag): (usize, usize, bool)) -> Vec<Action> {
    let node = u32::try_from(node % plan.len()).expect("few nodes");
    match (what, plan.kind(node)) {
        (0, _) => state.input_given(),
        (1..=6, _) => state.node_created(node),
        (7..=9, _) => state.input_processed(node),
        (_, Kind::Job) => state.job_changed(node, STATUSES[what % STATUSES.len()]),
        (_, Kind::Condition) => state.condition_done(node, flag),
        (_, Kind::SubRecipe) => state.sub_recipe_changed(node, flag, what % 3 == 0),
    }
}

fn check(stated: &[Stated], has_input: bool, changes: &[(usize, usize, bool)], does_obey: bool) {
    let plan = plan_of(stated);
    let (mut state, mut actions) = RecipeState::new(Arc::clone(&plan), has_input);
    let mut has_input = has_input;
    let mut before = evaluate(&plan, &[], has_input);
    assert_eq!(actions, before);
    for &made in changes {
        // One that obeys creates what is to be created; one that does not makes any change at all.
        let created = actions.iter().find_map(|action| match action {
            Action::Create(node) if does_obey => Some(*node),
            _ => None,
        });
        let new = match created {
            Some(node) => state.node_created(node),
            None => change(&mut state, &plan, made),
        };
        has_input |= created.is_none() && made.1 == 0;
        let after = evaluate(&plan, &states_of(&state, &plan), has_input);
        let expected: Vec<Action> = after.iter().filter(|action| !before.contains(action)).copied().collect();
        assert_eq!(new, expected, "{made:?} {state:?}");
        assert_eq!(state.is_completed(), after.contains(&Action::Complete));
        let (_, restored) = RecipeState::restored(Arc::clone(&plan), states_of(&state, &plan), has_input);
        assert_eq!(restored, after);
        actions.clone_from(&after);
        before = after;
    }
}

proptest! {
    #[test]
    fn a_change_gives_what_the_model_newly_wants(
        stated in prop::collection::vec((0_u8..8, any::<u16>(), any::<u16>()), 1..14),
        has_input in any::<bool>(),
        changes in prop::collection::vec((0_usize..14, 0_usize..40, any::<bool>()), 1..60),
        does_obey in any::<bool>(),
    ) {
        check(&stated, has_input, &changes, does_obey);
    }
}

fn jobs(parents: &[&[u32]]) -> Arc<Plan> {
    let parents: Vec<Vec<(u32, bool)>> =
        parents.iter().map(|its| its.iter().map(|&parent| (parent, true)).collect()).collect();
    Arc::new(Plan::new(vec![Kind::Job; parents.len()], parents).expect("no circle"))
}

#[test]
fn a_failed_job_blocks_what_is_behind_it_until_it_is_queued_again() {
    let (mut state, actions) = RecipeState::new(jobs(&[&[], &[0], &[1], &[]]), true);
    assert_eq!(actions, [0, 1, 2, 3].map(Action::Create));
    let made: Vec<Action> = (0..4).flat_map(|node| state.node_created(node)).collect();
    assert_eq!(made, [Action::ProcessInput(0), Action::ProcessInput(3)]);
    assert_eq!(state.job_changed(0, JobStatus::Failed), [Action::Block(1), Action::Block(2)]);
    assert_eq!(state.job_changed(1, JobStatus::Blocked), []);
    assert_eq!(state.job_changed(2, JobStatus::Blocked), []);
    assert_eq!(state.job_changed(0, JobStatus::Queued), [Action::Unblock(1), Action::Unblock(2)]);
    state.job_changed(1, JobStatus::Pending);
    state.job_changed(2, JobStatus::Pending);
    assert_eq!(state.job_changed(0, JobStatus::Completed), [Action::ProcessInput(1)]);
    state.job_changed(1, JobStatus::Completed);
    state.job_changed(2, JobStatus::Completed);
    assert_eq!(state.job_changed(3, JobStatus::Completed), [Action::Complete]);
}

#[test]
fn a_sub_recipe_that_is_free_again_frees_what_is_behind_it() {
    let plan = Plan::new(vec![Kind::SubRecipe, Kind::Job], vec![vec![], vec![(0, true)]]).expect("no circle");
    let (mut state, _) = RecipeState::new(Arc::new(plan), true);
    state.node_created(0);
    state.node_created(1);
    assert_eq!(state.sub_recipe_changed(0, false, true), [Action::Block(1)]);
    state.job_changed(1, JobStatus::Blocked);
    assert_eq!(state.sub_recipe_changed(0, false, false), [Action::Unblock(1)]);
    state.job_changed(1, JobStatus::Pending);
    assert_eq!(state.sub_recipe_changed(0, true, false), [Action::ProcessInput(1)]);
}

#[test]
fn of_two_branches_only_the_one_of_the_verdict_is_made() {
    let kinds = vec![Kind::Condition, Kind::Job, Kind::Job, Kind::Job];
    let parents = vec![vec![], vec![(0, true)], vec![(0, false)], vec![(2, true)]];
    let plan = Arc::new(Plan::new(kinds, parents).expect("no circle"));
    let (mut state, actions) = RecipeState::new(plan, true);
    assert_eq!(actions, [Action::Create(0)]);
    assert_eq!(state.node_created(0), [Action::ProcessInput(0)]);
    assert_eq!(state.condition_done(0, true), [Action::Create(1)]);
    assert_eq!(state.node_created(1), [Action::ProcessInput(1)]);
    // The branch left out counts as completed.
    assert_eq!(state.job_changed(1, JobStatus::Completed), [Action::Complete]);
}

#[test]
fn a_verdict_that_leaves_everything_out_completes_the_recipe() {
    let kinds = vec![Kind::Condition, Kind::Job];
    let plan = Arc::new(Plan::new(kinds, vec![vec![], vec![(0, true)]]).expect("no circle"));
    let (mut state, _) = RecipeState::new(plan, true);
    state.node_created(0);
    assert_eq!(state.condition_done(0, false), [Action::Complete]);
}

#[test]
fn a_finished_job_costs_its_children_not_the_graph() {
    const N: u32 = 100_000;
    const FAN: u32 = 10;
    // A tree: the parent of a node is a tenth of its place.
    let parents =
        (0..N).map(|node| if node == 0 { vec![] } else { vec![((node - 1) / FAN, true)] }).collect();
    let plan = Arc::new(Plan::new(vec![Kind::Job; N as usize], parents).expect("no circle"));
    let states = vec![NodeState::Job { status: JobStatus::Pending, has_input: false }; N as usize];
    let (mut state, _) = RecipeState::restored(plan, states, true);
    for node in [0, 1, 500, N / 20, N - 1] {
        let before = state.n_looked_at();
        let actions = state.job_changed(node, JobStatus::Completed);
        let n_children = if node < N / 20 + 1 && node * FAN + 1 < N { u64::from(FAN) } else { 0 };
        assert!(state.n_looked_at() - before <= 1 + u64::from(FAN), "{node}");
        assert_eq!(actions.len() as u64, n_children, "{node}");
    }
}
