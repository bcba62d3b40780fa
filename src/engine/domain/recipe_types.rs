//! Recipe types and their revisions.

use serde_json::Value;

use crate::engine::core::Core;
use crate::engine::shell::Engine;
use crate::engine::ticket::Ticket;
use crate::intake::IntakeError;
use crate::limits::RECIPE_BYTES_MAX;
use crate::model::{Doc, Json, RecipeType, RecipeTypeId, RecipeTypeRevision, Timestamp, kind};

use crate::recipe::Definition;
use crate::state::Types;

use super::catalog::{CatalogError, check_text};

/// A recipe type as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecipeType {
    /// Unique.
    pub name: String,
    /// For people.
    pub title: String,
    /// For people.
    pub description: String,
    /// The definition, as it is shown.
    pub definition: Json,
}

/// What to change of a recipe type; none: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipeTypeChange {
    /// For people.
    pub title: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// A new revision.
    pub definition: Option<Json>,
    /// Whether it takes new recipes.
    pub is_active: Option<bool>,
}

impl Engine {
    /// Makes a recipe type.
    pub fn create_recipe_type(
        &self,
        new: NewRecipeType,
    ) -> Result<Ticket<RecipeTypeId, CatalogError>, IntakeError> {
        self.call(move |core, now| core.create_recipe_type(new, now))
    }

    /// Changes a recipe type. Recipes that go on keep the revision they were made with.
    pub fn edit_recipe_type(
        &self,
        id: RecipeTypeId,
        change: RecipeTypeChange,
    ) -> Result<Ticket<(), CatalogError>, IntakeError> {
        self.call(move |core, now| core.edit_recipe_type(id, change, now))
    }
}

impl Core {
    /// Refuses a definition that is none: no recipe could be made of it.
    fn check_definition(&self, definition: &str) -> Result<(), CatalogError> {
        let bytes = definition.len();
        if bytes > RECIPE_BYTES_MAX {
            return Err(CatalogError::DefinitionTooLarge { bytes });
        }
        let invalid = |cause: String| CatalogError::InvalidDefinition { cause };
        let value: Value = serde_json::from_str(definition).map_err(|error| invalid(error.to_string()))?;
        let read = Definition::read(&value, &Types(&self.state));
        read.map(|_| ()).map_err(|error| invalid(error.to_string()))
    }

    pub(in crate::engine) fn recipe_type(&self, id: RecipeTypeId) -> Option<&RecipeType> {
        match &**self.state.docs().get(kind::RECIPE_TYPE, u64::from(id.0))? {
            Doc::RecipeType(doc) => Some(doc),
            _ => None,
        }
    }

    fn create_recipe_type(
        &mut self,
        new: NewRecipeType,
        now: Timestamp,
    ) -> Result<RecipeTypeId, CatalogError> {
        check_text(&[&new.name, &new.title, &new.description])?;
        self.check_room(kind::RECIPE_TYPE, "recipe types")?;
        let is_known = self.state.docs().of_kind(kind::RECIPE_TYPE).any(|doc| match &**doc {
            Doc::RecipeType(doc) => doc.name == new.name,
            _ => false,
        });
        if is_known {
            return Err(CatalogError::Exists { what: "recipe type", name: new.name });
        }
        self.check_definition(&new.definition)?;
        let (id, when) = (self.state.docs().next_recipe_type(), self.clamp(now));
        let revision =
            RecipeTypeRevision { recipe_type: id, revision: 1, definition: new.definition, created: when };
        self.put(Doc::RecipeTypeRevision(revision));
        self.put(Doc::RecipeType(RecipeType {
            id,
            name: new.name,
            title: new.title,
            description: new.description,
            revision: 1,
            is_active: true,
            created: when,
            deprecated: None,
            last_modified: when,
        }));
        Ok(id)
    }

    pub(in crate::engine) fn edit_recipe_type(
        &mut self,
        id: RecipeTypeId,
        change: RecipeTypeChange,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        let unknown = CatalogError::Unknown { what: "recipe type", id: u64::from(id.0) };
        let old = self.recipe_type(id).ok_or(unknown)?;
        check_text(&[&change.title, &change.description].map(|text| text.as_deref().unwrap_or_default()))?;
        change.definition.as_deref().map_or(Ok(()), |definition| self.check_definition(definition))?;
        let mut new = old.clone();
        let when = self.clamp(now);
        new.title = change.title.unwrap_or(new.title);
        new.description = change.description.unwrap_or(new.description);
        new.is_active = change.is_active.unwrap_or(new.is_active);
        if let Some(definition) = change.definition {
            new.revision += 1;
            let revision =
                RecipeTypeRevision { recipe_type: id, revision: new.revision, definition, created: when };
            self.put(Doc::RecipeTypeRevision(revision));
        }
        new.last_modified = when;
        self.put(Doc::RecipeType(new));
        Ok(())
    }
}
