//! An offer from the moment it is read to its end.
//!
//! H1  An offer ends once: it is handed out to be used or declined, or it is taken out because its
//!     master or its agent took it back. It is no `Clone`, and whoever ends it has it by value.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::sums::Sums;
use crate::limits::OFFER_AMOUNTS_MAX;
use crate::model::{
    AgentId, CLUSTER_NAME_LEN_MAX, NodeResources, OfferId, Quantity, ResourceName, Timestamp,
};

/// An offer as it arrives.
#[derive(Debug)]
pub struct NewOffer {
    /// Its name.
    pub id: OfferId,
    /// Whose resources.
    pub agent: AgentId,
    /// The name of the machine.
    pub host: String,
    /// Its scalar resources; a name may come more than once. Others (ranges, sets) are not for this.
    pub amounts: Vec<RoleAmount<String>>,
    /// What the agent tells of itself, by name.
    pub attributes: BTreeMap<String, String>,
}

/// An amount of a resource, and the role that may use it. `Role` is `*` where all may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleAmount<Name> {
    /// Which role.
    pub role: Arc<str>,
    /// Which resource.
    pub name: Name,
    /// How much.
    pub amount: Quantity,
}

/// The roles whose resources are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles(BTreeSet<Arc<str>>);

impl Roles {
    /// The role of what everybody may use.
    pub const ANY: &'static str = "*";

    /// These roles and no other.
    pub fn new<'a>(roles: impl IntoIterator<Item = &'a str>) -> Self {
        Self(roles.into_iter().map(Arc::from).collect())
    }
}

impl Default for Roles {
    /// What everybody may use.
    fn default() -> Self {
        Self::new([Self::ANY])
    }
}

/// An offer that has not ended.
#[must_use = "an offer that is neither used nor declined is lost to everybody until its master takes it back"]
#[derive(Debug, PartialEq, Eq)]
pub struct HeldOffer {
    id: OfferId,
    agent: AgentId,
    resources: NodeResources,
    parts: Vec<RoleAmount<ResourceName>>,
    n_left_out: usize,
    received: Timestamp,
}

impl HeldOffer {
    /// Reads an offer. Left out are resources of other roles than `roles`, those with a name that is
    /// none, and what is beyond the limits.
    pub(super) fn read(offer: &NewOffer, roles: &Roles, received: Timestamp) -> Self {
        let (mut sums, mut parts) = (Sums::default(), Vec::new());
        for part in offer.amounts.iter().take(OFFER_AMOUNTS_MAX) {
            let Some(role) = roles.0.get(&part.role) else { continue };
            let Ok(name) = ResourceName::new(&part.name) else { continue };
            sums.put(&name, part.amount);
            parts.push(RoleAmount { role: role.clone(), name, amount: part.amount });
        }
        let resources = sums.resources();
        parts.retain(|part| resources.iter().any(|(name, _)| *name == part.name));
        let n_left_out = offer.amounts.len() - parts.len();
        let (id, agent) = (offer.id.clone(), offer.agent.clone());
        Self { id, agent, resources, parts, n_left_out, received }
    }

    /// Its name.
    pub fn id(&self) -> &OfferId {
        &self.id
    }

    /// Whose resources.
    pub fn agent(&self) -> &AgentId {
        &self.agent
    }

    /// What is offered, over all roles.
    pub fn resources(&self) -> &NodeResources {
        &self.resources
    }

    /// The same by role, as it arrived: what is launched may have to name the role of what it takes.
    pub fn parts(&self) -> &[RoleAmount<ResourceName>] {
        &self.parts
    }

    /// Amounts that were left out.
    pub fn n_left_out(&self) -> usize {
        self.n_left_out
    }

    /// When it arrived.
    pub fn received(&self) -> Timestamp {
        self.received
    }
}

/// An offer that is to be declined, and why.
#[must_use = "the offer is to be declined"]
#[derive(Debug, PartialEq, Eq)]
pub struct Declined {
    /// The offer.
    pub offer: HeldOffer,
    /// Why.
    pub why: DeclineReason,
}

/// Why an offer is declined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeclineReason {
    /// Nobody used it in `OFFER_HOLD_MAX`.
    #[error("it was held for as long as may be")]
    Expired,
    /// Nothing can use it.
    #[error("nothing can use it")]
    NotNeeded,
    /// It offers nothing to the roles that are taken.
    #[error("it offers nothing of the roles that are taken")]
    NothingUsable,
    /// Its machine has no name, or an endless one.
    #[error("the name of its machine has not 1 to {CLUSTER_NAME_LEN_MAX} bytes")]
    BadHost,
    /// As many offers are held as may be.
    #[error("{max} offers are held already")]
    TooManyOffers {
        /// The limit.
        max: usize,
    },
    /// It is of one more node than may be.
    #[error("there are {max} nodes already")]
    TooManyNodes {
        /// The limit.
        max: usize,
    },
}
