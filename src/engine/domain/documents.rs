//! Submissions of jobs whose types were made from manifests: values become the document of an input.

use std::borrow::Cow;

use serde_json::Value;

use crate::engine::core::Core;
use crate::engine::handle::SubmitError;
use crate::job::data::validate;
use crate::model::{Data, Given, Interface, JobRequest, JsonType, Submission, Values};

/// Values as data for an interface: texts for texts, JSON for the rest. Values that no parameter takes are
/// for placeholders alone.
fn data_of_values(interface: &Interface, values: &Values) -> Data {
    let mut data = Data::default();
    for (name, text) in values.iter() {
        let parameter = interface.json.iter().find(|parameter| parameter.name == *name);
        let Some(parameter) = parameter else { continue };
        let read = || serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into());
        let value = if parameter.json_type == JsonType::String { Value::from(text.as_str()) } else { read() };
        data.json.insert(name.clone(), value);
    }
    data
}

impl Core {
    /// The submission, with an input for each job whose type was made from a manifest.
    pub(in crate::engine) fn with_documents<'s>(
        &self,
        submission: &'s Submission,
    ) -> Result<Cow<'s, Submission>, SubmitError> {
        let nodes = submission.recipes.iter().flat_map(|recipe| &recipe.nodes).map(|node| &node.job);
        let asks = |request: &JobRequest| request.given.is_none() && self.details(request.job_type).is_some();
        if !submission.jobs.iter().chain(nodes).any(asks) {
            return Ok(Cow::Borrowed(submission));
        }
        let mut all = submission.clone();
        let nodes = all.recipes.iter_mut().flat_map(|recipe| &mut recipe.nodes).map(|node| &mut node.job);
        for request in all.jobs.iter_mut().chain(nodes).filter(|request| asks(request)) {
            self.give_document(request)?;
        }
        Ok(Cow::Owned(all))
    }

    fn give_document(&self, request: &mut JobRequest) -> Result<(), SubmitError> {
        let Some(details) = self.details(request.job_type) else { return Ok(()) };
        let Some(manifest) = self.state.manifest(request.job_type, details.revision) else { return Ok(()) };
        let data = data_of_values(manifest.inputs(), &request.values);
        validate(manifest.inputs(), &data, |_| None).map_err(|error| SubmitError::InvalidData {
            job_type: manifest.name().to_owned(),
            reason: error.to_string(),
        })?;
        let input = data.to_value().to_string().into();
        let given = Given { input, revision: Some(details.revision), ..Given::default() };
        // What was asked for by name is laid over what the type asks for, as for any other job.
        if let (Some(own), Some(kind)) = (&request.resources, self.state.catalog.get(request.job_type)) {
            let laid_over = kind.spec.resources.overridden_by(own);
            request.resources = Some(laid_over.map_err(|_| SubmitError::TooManyResources)?);
        }
        request.given = Some(given.into());
        Ok(())
    }
}
