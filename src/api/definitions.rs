//! What definitions of recipe types refer to, looked up in a view.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::api::views::scale::document;
use crate::catalog::manifest::Manifest;
use crate::engine::View;
use crate::model::{Interface, JobTypeId};
use crate::recipe::{Definition, Lookup, Size};

/// A revision of a type: its name, for a job type its version, and the number.
type Key = (String, String, u32);

/// The types of a view. Each revision is read once.
pub(super) struct Types<'v> {
    view: &'v View,
    ids: HashMap<(&'v str, &'v str), JobTypeId>,
    jobs: RefCell<HashMap<Key, Option<(Interface, Interface)>>>,
    recipes: RefCell<HashMap<Key, Option<(Interface, Size)>>>,
}

impl<'v> Types<'v> {
    pub(super) fn new(view: &'v View) -> Self {
        let ids = view.types.iter().map(|kind| {
            let spec = &kind.job_type.spec;
            ((spec.name.as_str(), spec.version.as_str()), kind.job_type.id)
        });
        Self { view, ids: ids.collect(), jobs: RefCell::default(), recipes: RefCell::default() }
    }

    fn read_job_type(&self, (name, version, revision): &Key) -> Option<(Interface, Interface)> {
        let id = *self.ids.get(&(name.as_str(), version.as_str()))?;
        let revision = self.view.catalog.job_type_revision(id, *revision)?;
        let manifest = Manifest::read(&document(&revision.manifest)).ok()?;
        Some((manifest.inputs().clone(), manifest.outputs().clone()))
    }

    fn read_recipe_type(&self, (name, _, revision): &Key) -> Option<(Interface, Size)> {
        let kind = self.view.catalog.recipe_type_named(name)?;
        let revision = self.view.catalog.recipe_type_revision(kind.id, *revision)?;
        // It was checked when it was made, so its own sub-recipes end.
        let definition = Definition::on_record(&document(&revision.definition), self).ok()?;
        Some((definition.input().clone(), definition.size()))
    }
}

/// What is remembered under `key`, or what `read` says of it.
fn remembered<T: Clone>(
    known: &RefCell<HashMap<Key, Option<T>>>,
    key: Key,
    read: impl FnOnce(&Key) -> Option<T>,
) -> Option<T> {
    if let Some(found) = known.borrow().get(&key) {
        return found.clone();
    }
    let found = read(&key);
    known.borrow_mut().insert(key, found.clone());
    found
}

impl Lookup for Types<'_> {
    fn job_type(&self, name: &str, version: &str, revision: u32) -> Option<(Interface, Interface)> {
        let key = (name.to_owned(), version.to_owned(), revision);
        remembered(&self.jobs, key, |key| self.read_job_type(key))
    }

    fn recipe_type(&self, name: &str, revision: u32) -> Option<(Interface, Size)> {
        let key = (name.to_owned(), String::new(), revision);
        remembered(&self.recipes, key, |key| self.read_recipe_type(key))
    }
}
