//! What a manifest declares of resources, and what an execution with a given input asks of its node.
//!
//! Exact: amounts in thousandths, multipliers in thousand-millionths, products in whole numbers.
//!
//! R1  No standard resource is below its minimum.
//! R2  An execution never asks for less than its type.
//! R3  Shared memory is a setting of the container; an execution does not ask its node for it.
//! R4  An execution asks for at least as much disk as its input takes.

use serde_json::Number;

use crate::catalog::shape::{Fault, Misfit, Place, shown};
use crate::model::{NodeResources, QUANTITY_MAX, Quantity, RESOURCES_MAX, ResourceName, THOUSANDTHS};

use super::{ManifestError, NAME_PATTERN, is_name};

/// What a name that is too long does not look like, for people.
const LONG_NAME_PATTERN: &str = "^[a-zA-Z0-9_-]{1,64}$";

/// Memory that is shared between the processes of a container.
const SHARED_MEM: &str = "sharedmem";

/// What every execution gets of cores, for the steps around its command.
const CPUS_MIN: Quantity = Quantity(250);

/// What every execution gets of memory, in MiB.
const MEM_MIB_MIN: Quantity = Quantity::whole(128);

/// The largest whole amount that is read.
const WHOLE_MAX: u64 = QUANTITY_MAX / THOUSANDTHS;

/// One in the unit of a [`Multiplier`].
const MULTIPLIER_ONE: u128 = 1_000_000_000;

/// Digits behind the point of a [`Multiplier`].
const MULTIPLIER_DIGITS: usize = 9;

/// How much of a resource each MiB of input asks for, in thousand-millionths; finer ones count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Multiplier(u128);

/// A resource of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Declared {
    name: ResourceName,
    value: Quantity,
    multiplier: Option<Multiplier>,
}

impl Declared {
    pub(super) fn read(place: &Place<'_>) -> Result<Self, ManifestError> {
        let members = place.object(&["name", "value"], &["inputMultiplier"])?;
        let name = members.need("name")?;
        let text = name.matching(NAME_PATTERN, is_name)?;
        let too_long =
            |_| name.misfit(Fault::Pattern { found: shown(name.value), pattern: LONG_NAME_PATTERN });
        let multiplier = members.get("inputMultiplier");
        let declared = Self {
            name: ResourceName::new(text).map_err(too_long)?,
            value: amount(&members.need("value")?)?,
            multiplier: multiplier.map(|place| Multiplier::read(&place)).transpose()?,
        };
        if declared.name.as_str() == ResourceName::GPUS && !declared.value.0.is_multiple_of(THOUSANDTHS) {
            return Err(ManifestError::GpusNotWhole);
        }
        Ok(declared)
    }

    pub(super) fn name(&self) -> &str {
        self.name.as_str()
    }

    /// What the type itself asks for.
    fn of_type(&self) -> Quantity {
        self.value.max(minimum(self.name()))
    }

    /// What an execution with that much input asks for.
    fn of_entry(&self, input_mib: Quantity) -> Quantity {
        let grown = self.multiplier.map(|multiplier| multiplier.grown(self.value, input_mib));
        self.of_type().max(grown.unwrap_or_default())
    }
}

impl Multiplier {
    fn read(place: &Place<'_>) -> Result<Self, Misfit> {
        let number = non_negative(place)?;
        let text = number.as_u64().map_or_else(|| decimal(number), |whole| whole.to_string());
        Self::parse(&text)
            .filter(|it| it.0 <= u128::from(WHOLE_MAX) * MULTIPLIER_ONE)
            .ok_or_else(|| place.above(WHOLE_MAX))
    }

    /// Of digits with at most one point; what is finer counts as one more.
    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let (kept, finer) = fraction.split_at(fraction.len().min(MULTIPLIER_DIGITS));
        let carry = u128::from(finer.bytes().any(|b| b != b'0'));
        let digits: u128 = format!("{kept:0<MULTIPLIER_DIGITS$}").parse().ok()?;
        let whole: u128 = whole.parse().ok()?;
        whole.checked_mul(MULTIPLIER_ONE)?.checked_add(digits + carry).map(Self)
    }

    /// `self` times `input_mib`, and `value`, rounded up to a whole unit.
    fn grown(self, value: Quantity, input_mib: Quantity) -> Quantity {
        let product = self.0.saturating_mul(u128::from(input_mib.0));
        let sum = product.saturating_add(u128::from(value.0) * MULTIPLIER_ONE);
        let whole = sum.div_ceil(u128::from(THOUSANDTHS) * MULTIPLIER_ONE).min(u128::from(WHOLE_MAX));
        Quantity::whole(u64::try_from(whole).expect("at most WHOLE_MAX"))
    }
}

/// A number as decimal text, the shortest that means it.
fn decimal(number: &Number) -> String {
    number.as_f64().filter(|float| *float != 0.0).map_or("0".into(), |float| float.to_string())
}

fn non_negative<'a>(place: &Place<'a>) -> Result<&'a Number, Misfit> {
    let number = place.number()?;
    let is_negative = number.as_f64().is_some_and(|float| float < 0.0);
    if is_negative { Err(place.below(0)) } else { Ok(number) }
}

/// An amount; rounded up where it is finer than a thousandth.
fn amount(place: &Place<'_>) -> Result<Quantity, Misfit> {
    let number = non_negative(place)?;
    let found = match number.as_u64() {
        Some(whole) => (whole <= WHOLE_MAX).then(|| Quantity::whole(whole)),
        None => decimal(number).parse().ok().or_else(|| Quantity::from_f64(number.as_f64()?, true).ok()),
    };
    found.ok_or_else(|| place.above(WHOLE_MAX))
}

fn minimum(name: &str) -> Quantity {
    match name {
        ResourceName::CPUS => CPUS_MIN,
        ResourceName::MEM => MEM_MIB_MIN,
        _ => Quantity::ZERO,
    }
}

/// True where what is declared, and what every type has besides, fits a set of resources.
pub(super) fn fit(declared: &[Declared]) -> bool {
    let always = [ResourceName::CPUS, ResourceName::MEM, ResourceName::DISK, SHARED_MEM];
    let further = declared.iter().filter(|it| !always.contains(&it.name())).count();
    always.len() + further <= RESOURCES_MAX
}

fn set(mut amounts: impl Iterator<Item = (String, Quantity)>, names: &[&str]) -> NodeResources {
    let with =
        |set: NodeResources, name: &str, amount| set.with(name, amount).expect("counted when it was read");
    let least = names.iter().fold(NodeResources::new(), |set, name| with(set, name, minimum(name)));
    amounts.by_ref().fold(least, |set, (name, amount)| with(set, &name, amount))
}

/// What the type asks for, shared memory too.
pub(super) fn of_type(declared: &[Declared]) -> NodeResources {
    let amounts = declared.iter().map(|it| (it.name().to_owned(), it.of_type()));
    set(amounts, &[ResourceName::CPUS, ResourceName::MEM, ResourceName::DISK, SHARED_MEM])
}

/// What an execution with that much input asks of its node.
pub(super) fn of_entry(declared: &[Declared], input_mib: Quantity) -> NodeResources {
    let asked = declared.iter().filter(|it| it.name() != SHARED_MEM);
    let amounts = asked.map(|it| (it.name().to_owned(), it.of_entry(input_mib)));
    let asked = set(amounts, &[ResourceName::CPUS, ResourceName::MEM, ResourceName::DISK]);
    let disk = asked.get(ResourceName::DISK).max(input_mib);
    asked.with(ResourceName::DISK, disk).expect("disk is there")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn declared(scalar: &Value) -> Vec<Declared> {
        let items = Place::root(scalar).items().expect("a list");
        items.iter().map(|item| Declared::read(item).expect("a resource")).collect()
    }

    fn entry(scalar: &Value, input_mib: &str) -> String {
        of_entry(&declared(scalar), input_mib.parse().expect("an amount")).to_string()
    }

    #[test]
    fn the_worked_example_gives_what_scale_gave() {
        let scalar = json!([
            { "name": "cpus", "value": 1.0 },
            { "name": "mem", "value": 64, "inputMultiplier": 4 },
            { "name": "disk", "value": 10, "inputMultiplier": 2.0 },
            { "name": "sharedMem", "value": 32, "inputMultiplier": 1 },
        ]);
        assert_eq!(entry(&scalar, "101"), "cpus:1,disk:212,mem:468");
        assert_eq!(entry(&scalar, "0"), "cpus:1,disk:10,mem:128");
        assert_eq!(of_type(&declared(&scalar)).to_string(), "cpus:1,disk:10,mem:128,sharedmem:32");
    }

    #[test]
    fn minimums_hold_where_less_or_nothing_is_declared() {
        assert_eq!(entry(&json!([]), "0"), "cpus:0.25,disk:0,mem:128");
        assert_eq!(of_type(&[]).to_string(), "cpus:0.25,disk:0,mem:128,sharedmem:0");
        assert_eq!(entry(&json!([{ "name": "CPUS", "value": 0.1 }]), "7"), "cpus:0.25,disk:7,mem:128");
    }

    #[test]
    fn only_what_grows_is_rounded_up_to_a_whole() {
        let check = |value: Value, multiplier: Value, input: &str, expected: &str| {
            let scalar = json!([{ "name": "x", "value": value, "inputMultiplier": multiplier }]);
            let found = of_entry(&declared(&scalar), input.parse().expect("an amount"));
            assert_eq!(found.get("x").to_string(), expected, "{scalar} {input}");
        };
        assert_eq!(entry(&json!([{ "name": "x", "value": 1.5 }]), "9"), "cpus:0.25,disk:9,mem:128,x:1.5");
        check(json!(1.5), json!(0), "9", "2");
        check(json!(1), json!(1.5), "3", "6");
        // In floats that is a little more than 1.
        check(json!(0.7), json!(0.1), "3", "1");
        check(json!(0), json!(0.000_01), "100000", "1");
        check(json!(0), json!(1e-12), "1", "1");
        check(json!(1.000_1), json!(0), "0", "2");
        check(json!(9_000_000_000_000_u64), json!(9_000_000_000_000_u64), "9000000000000", "9007199254740");
    }

    #[test]
    fn bad_resources_are_refused() {
        let check = |resource: Value, part: &str| {
            let error = Declared::read(&Place::root(&resource)).expect_err("refused").to_string();
            assert!(error.contains(part), "{resource}: {error}");
        };
        check(json!({ "name": "mem", "value": -1 }), "-1 is less than the minimum of 0");
        check(json!({ "name": "mem", "value": -0.5 }), "less than the minimum of 0");
        check(json!({ "name": "mem", "value": 1, "inputMultiplier": -2 }), "less than the minimum of 0");
        check(json!({ "name": "mem", "value": 1e300 }), "greater than the maximum");
        check(json!({ "name": "mem", "value": 1, "inputMultiplier": 1e300 }), "greater than the maximum");
        check(json!({ "name": "mem", "value": "1" }), "is not of type 'number'");
        check(json!({ "name": "mem", "value": true }), "is not of type 'number'");
        check(json!({ "name": "a.b", "value": 1 }), "does not match");
        check(json!({ "name": "x".repeat(65), "value": 1 }), "does not match");
        check(json!({ "name": "mem" }), "'value' is a required property");
        check(json!({ "name": "GPUs", "value": 1.5 }), "gpu resource not set to whole number");
        assert!(Declared::read(&Place::root(&json!({ "name": "gpus", "value": 2.0 }))).is_ok());
        assert!(Declared::read(&Place::root(&json!({ "name": "gpus", "value": -0.0 }))).is_ok());
    }
}
