//! A node's input, made from what it is connected to.

use crate::model::Data;

use super::definition::{Connection, Node};

/// The input of a node. What a connection leads to and is not there gives nothing: whether the input
/// is enough is for its interface to say.
pub(crate) fn input_of<'d>(
    node: &Node,
    recipe_input: &'d Data,
    output_of: impl Fn(&str) -> Option<&'d Data>,
) -> Data {
    let mut input = Data::default();
    for (name, connection) in &node.connections {
        let (from, key) = match connection {
            Connection::Recipe { input } => (Some(recipe_input), input),
            Connection::Dependency { node, output } => (output_of(node), output),
        };
        let Some(from) = from else { continue };
        if let Some(files) = from.files.get(key) {
            input.files.insert(name.clone(), files.clone());
        } else if let Some(value) = from.json.get(key) {
            input.json.insert(name.clone(), value.clone());
        }
    }
    input
}
