//! The pool of offers against a plain list.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::held::{DeclineReason, Declined, HeldOffer, NewOffer, RoleAmount, Roles};
use super::pool::{OfferAdded, OfferPool};
use crate::limits::{OFFER_AMOUNTS_MAX, OFFER_HOLD_MAX};
use crate::model::{AgentId, NodeResources, OfferId, Quantity, Timestamp};

const OFFERS: usize = 7;
const AGENTS: usize = 3;
const NAMES: [&str; 3] = ["cpus", "mem", "licences"];
type Three = [u64; 3];

fn named(three: Three) -> NodeResources {
    let set = NodeResources::new();
    NAMES.iter().zip(three).fold(set, |set, (name, n)| set.with(name, Quantity(n)).expect("a name"))
}

fn agent(n: u8) -> AgentId {
    AgentId::new(&format!("agent-{n}")).expect("a name")
}

fn offer_id(n: usize) -> OfferId {
    OfferId::new(&format!("offer-{n}")).expect("a name")
}

pub(super) fn part(role: &str, name: &str, thousandths: u64) -> RoleAmount<String> {
    RoleAmount { role: role.into(), name: name.into(), amount: Quantity(thousandths) }
}

fn new_offer(n: usize, of: u8, amounts: Three) -> NewOffer {
    let amounts = NAMES.iter().zip(amounts).filter(|(_, n)| *n > 0);
    NewOffer {
        id: offer_id(n),
        agent: agent(of),
        host: format!("host-{of}"),
        amounts: amounts.map(|(name, n)| part(Roles::ANY, name, n)).collect(),
        attributes: BTreeMap::new(),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add { agent: u8, amounts: Three },
    AddAgain(usize),
    Rescind(usize),
    Lose(u8),
    Expire,
    Allocate { agent: u8, need: Three },
    Decline(u8),
    DeclineAll,
    Wait(u32),
    Back(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let three = || (0..4_u64, 0..4_u64, prop_oneof![3 => Just(0), 1 => 1..3_u64]).prop_map(<[u64; 3]>::from);
    prop_oneof![
        12 => (0..4_u8, three()).prop_map(|(agent, amounts)| Step::Add { agent, amounts }),
        2 => any::<usize>().prop_map(Step::AddAgain),
        3 => any::<usize>().prop_map(Step::Rescind),
        1 => (0..4_u8).prop_map(Step::Lose),
        3 => Just(Step::Expire),
        6 => (0..4_u8, three()).prop_map(|(agent, need)| Step::Allocate { agent, need }),
        1 => (0..4_u8).prop_map(Step::Decline),
        1 => Just(Step::DeclineAll),
        4 => (0..9_000_000_u32).prop_map(Step::Wait),
        1 => (0..20_000_000_u32).prop_map(Step::Back),
    ]
}

/// An offer of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plain {
    n: usize,
    agent: u8,
    amounts: Three,
    received: Timestamp,
}

#[derive(Debug, Default)]
struct Model {
    held: Vec<Plain>,
    /// How often each offer that was ever added has ended.
    ended: BTreeMap<OfferId, u32>,
}

fn covers(have: Three, need: Three) -> bool {
    have.iter().zip(need).all(|(have, need)| *have >= need)
}

fn sum<'p>(offers: impl IntoIterator<Item = &'p Plain>) -> Three {
    offers.into_iter().fold([0; 3], |sum, offer| std::array::from_fn(|at| sum[at] + offer.amounts[at]))
}

impl Model {
    fn end<'h>(&mut self, offers: impl IntoIterator<Item = &'h HeldOffer>) {
        for offer in offers {
            *self.ended.entry(offer.id().clone()).or_default() += 1;
        }
    }

    fn obstacle(&self, agent: u8, amounts: Three) -> Option<DeclineReason> {
        let mut agents: Vec<u8> = self.held.iter().map(|offer| offer.agent).collect();
        agents.sort_unstable();
        agents.dedup();
        if amounts == [0; 3] {
            Some(DeclineReason::NothingUsable)
        } else if self.held.len() == OFFERS {
            Some(DeclineReason::TooManyOffers { max: OFFERS })
        } else if agents.len() == AGENTS && !agents.contains(&agent) {
            Some(DeclineReason::TooManyNodes { max: AGENTS })
        } else {
            None
        }
    }

    /// Takes out offers, oldest first.
    fn remove(&mut self, is_taken: impl Fn(&Plain) -> bool) -> Vec<OfferId> {
        let (taken, held) = self.held.drain(..).partition(|offer| is_taken(offer));
        self.held = held;
        taken.iter().map(|offer: &Plain| offer_id(offer.n)).collect()
    }

    fn allocate(&mut self, of: u8, need: Three, now: Timestamp) -> Option<Vec<OfferId>> {
        if need == [0; 3] {
            return Some(Vec::new());
        }
        let all: Vec<Plain> = self.held.iter().filter(|offer| offer.agent == of).copied().collect();
        if !covers(sum(&all), need) {
            return None;
        }
        let (mut taken, others): (Vec<Plain>, Vec<Plain>) =
            all.iter().partition(|offer| now.0 - offer.received.0 >= 10_000_000);
        for offer in others {
            let have = sum(&taken);
            let helps = (0..3).any(|at| have[at] < need[at] && offer.amounts[at] > 0);
            if helps {
                taken.push(offer);
            }
        }
        Some(self.remove(|offer| taken.contains(offer)))
    }
}

fn ids<'h>(offers: impl IntoIterator<Item = &'h HeldOffer>) -> Vec<OfferId> {
    offers.into_iter().map(|offer| offer.id().clone()).collect()
}

fn offers(declined: &[Declined]) -> impl Iterator<Item = &HeldOffer> {
    declined.iter().map(|declined| &declined.offer)
}

fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (mut pool, mut model) = (OfferPool::bounded(Roles::default(), OFFERS, AGENTS), Model::default());
    let (mut clock, mut now, mut n) = (Timestamp(0), Timestamp(i64::MIN), 0);
    for step in steps {
        if matches!(step, Step::Add { .. } | Step::Expire | Step::Allocate { .. }) {
            now = now.max(clock);
        }
        match step {
            Step::Add { agent, amounts } => {
                let obstacle = model.obstacle(agent, amounts);
                let added = pool.add(&new_offer(n, agent, amounts), clock);
                model.ended.insert(offer_id(n), 0);
                match added {
                    Ok(added) => prop_assert_eq!((added, obstacle), (OfferAdded::Held, None)),
                    Err(declined) => {
                        prop_assert_eq!(Some(declined.why), obstacle);
                        model.end([&declined.offer]);
                    }
                }
                if obstacle.is_none() {
                    model.held.push(Plain { n, agent, amounts, received: now });
                }
                n += 1;
            }
            Step::AddAgain(which) if !model.held.is_empty() => {
                let offer = model.held[which % model.held.len()];
                let again = new_offer(offer.n, (offer.agent + 1) % 4, [9; 3]);
                prop_assert_eq!(pool.add(&again, clock), Ok(OfferAdded::Again));
            }
            Step::Rescind(which) if n > 0 => {
                let which = which % n;
                let rescinded = pool.rescind(&offer_id(which));
                model.end(&rescinded);
                prop_assert_eq!(ids(&rescinded), model.remove(|offer| offer.n == which));
            }
            Step::Lose(of) => {
                let lost = pool.lose_agent(&agent(of));
                model.end(&lost);
                prop_assert_eq!(ids(&lost), model.remove(|offer| offer.agent == of));
            }
            Step::Expire => {
                let due = pool.next_expiry().is_some_and(|due| due <= now);
                let expired = pool.expire(clock);
                prop_assert_eq!(due, !expired.is_empty());
                prop_assert!(expired.iter().all(|declined| declined.why == DeclineReason::Expired));
                model.end(offers(&expired));
                let is_due = |offer: &Plain| now.0 - offer.received.0 >= 10_000_000;
                prop_assert_eq!(ids(offers(&expired)), model.remove(is_due));
            }
            Step::Allocate { agent: of, need } => {
                let n_held = model.held.iter().filter(|offer| offer.agent == of).count();
                let missing = named(sum(model.held.iter().filter(|o| o.agent == of))).shortage(&named(need));
                let expected = model.allocate(of, need, now);
                match pool.allocate(&agent(of), &named(need), clock) {
                    Ok(taken) => {
                        model.end(&taken);
                        prop_assert_eq!(Some(ids(&taken)), expected);
                    }
                    Err(uncovered) => {
                        prop_assert_eq!(None, expected);
                        prop_assert_eq!((uncovered.n_offers, uncovered.missing), (n_held, missing));
                    }
                }
            }
            Step::Decline(of) => {
                let declined = pool.decline(&agent(of));
                model.end(offers(&declined));
                prop_assert_eq!(ids(offers(&declined)), model.remove(|offer| offer.agent == of));
            }
            Step::DeclineAll => {
                let declined = pool.decline_all();
                model.end(offers(&declined));
                prop_assert_eq!(ids(offers(&declined)), model.remove(|_| true));
            }
            Step::Wait(length) => clock = clock + Duration::from_micros(length.into()),
            Step::Back(length) => clock = Timestamp(clock.0 - i64::from(length)),
            Step::AddAgain(_) | Step::Rescind(_) => {}
        }
        check(&pool, &model)?;
    }
    model.end(offers(&pool.decline_all()));
    prop_assert!(model.ended.values().all(|n| *n == 1), "{:?}", model.ended);
    prop_assert_eq!(pool.iter().len(), 0);
    Ok(())
}

fn check(pool: &OfferPool, model: &Model) -> Result<(), TestCaseError> {
    let held: Vec<OfferId> = model.held.iter().map(|offer| offer_id(offer.n)).collect();
    prop_assert!(held.len() <= OFFERS);
    prop_assert_eq!(ids(pool.iter()), held);
    for (id, n) in &model.ended {
        prop_assert_eq!(pool.holds(id), *n == 0, "{}", id);
    }
    for of in 0..4 {
        let of_agent = model.held.iter().filter(|offer| offer.agent == of).map(|offer| offer_id(offer.n));
        prop_assert_eq!(ids(pool.of_agent(&agent(of))), of_agent.collect::<Vec<_>>());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_offer_ends_once_whatever_the_order(steps in prop::collection::vec(step(), 0..80)) {
        run(steps)?;
    }
}

#[test]
fn offers_are_held_for_ten_seconds_and_then_declined() {
    let mut pool = OfferPool::new(Roles::default());
    for (n, second) in [(0, 0), (1, 4)] {
        assert_eq!(pool.add(&new_offer(n, 1, [1, 1, 0]), Timestamp::from_secs(second)), Ok(OfferAdded::Held));
    }
    let at = Timestamp(0) + OFFER_HOLD_MAX;
    assert!(pool.expire(Timestamp(at.0 - 1)).is_empty());
    assert_eq!(ids(offers(&pool.expire(at))), [offer_id(0)]);
    assert_eq!(pool.next_expiry(), Some(Timestamp::from_secs(14)));
}

#[test]
fn an_offer_that_was_held_long_goes_along_with_what_is_used() {
    let mut pool = OfferPool::new(Roles::default());
    for (n, second, amounts) in [(0, 0, [0, 5, 0]), (1, 5, [0, 9, 0]), (2, 6, [2, 0, 0]), (3, 7, [9, 9, 0])] {
        assert_eq!(pool.add(&new_offer(n, 1, amounts), Timestamp::from_secs(second)), Ok(OfferAdded::Held));
    }
    let at = Timestamp::from_secs(10);
    let uncovered = pool.allocate(&agent(1), &named([9, 9, 1]), at).expect_err("no licences");
    assert_eq!(uncovered.to_string(), "4 offers of agent agent-1 lack licences:0.001 of what is needed");
    let taken = pool.allocate(&agent(1), &named([1, 0, 0]), at).expect("it is there");
    assert_eq!(ids(&taken), [offer_id(0), offer_id(2)], "1 has no cpus, and 3 is not needed");
}

fn read(roles: Roles, amounts: Vec<RoleAmount<String>>) -> Result<OfferPool, Declined> {
    let mut pool = OfferPool::new(roles);
    pool.add(&NewOffer { amounts, ..new_offer(0, 1, [0; 3]) }, Timestamp(0)).map(|_| pool)
}

#[test]
fn resources_of_other_roles_are_left_out_and_two_amounts_of_a_name_are_added() {
    let amounts = || {
        vec![
            part("*", "cpus", 1_500),
            part("scale", "cpus", 2_500),
            part("web", "cpus", 7_000),
            part("*", "Mem", 1),
        ]
    };
    let check = |roles: Roles, expected: &str, n_left_out: usize| {
        let pool = read(roles, amounts()).expect("something is for these roles");
        let offer = pool.iter().next().expect("it is held");
        assert_eq!(offer.resources(), &expected.parse().expect("resources"));
        assert_eq!(offer.n_left_out(), n_left_out);
        assert_eq!(offer.parts().len(), amounts().len() - n_left_out);
    };
    check(Roles::default(), "cpus:1.5,mem:0.001", 2);
    check(Roles::new(["*", "scale"]), "cpus:4,mem:0.001", 1);
    check(Roles::new(["web"]), "cpus:7", 3);
    let declined = read(Roles::new(["other"]), amounts()).expect_err("nothing is for that role");
    assert_eq!((declined.why, declined.offer.n_left_out()), (DeclineReason::NothingUsable, 4));
}

#[test]
fn an_offer_without_bounds_is_read_as_far_as_it_may_be() {
    let bad = vec![part("*", "no name", 1), part("*", "cpus", 2)];
    let offer = read(Roles::default(), bad).expect("cpus");
    assert_eq!(offer.iter().map(HeldOffer::n_left_out).sum::<usize>(), 1);

    let mut many: Vec<_> = (0..20).map(|n| part("*", &format!("a{n:02}"), 1)).collect();
    many.extend((0..1_000).map(|_| part("*", "cpus", 1)));
    let pool = read(Roles::default(), many).expect("cpus");
    let offer = pool.iter().next().expect("it is held");
    assert_eq!(offer.resources().get("cpus").0, (OFFER_AMOUNTS_MAX - 20) as u64);
    assert_eq!(
        (offer.parts().len(), offer.n_left_out()),
        (OFFER_AMOUNTS_MAX - 5, 1_020 - OFFER_AMOUNTS_MAX + 5)
    );
    let role: &Arc<str> = &offer.parts()[0].role;
    assert_eq!(&**role, Roles::ANY);
}
