//! A node's input, made from what it is connected to.

use std::borrow::Borrow;
use std::fmt::{self, Write};

use crate::model::Data;

use super::definition::{Connection, Node};

/// Bytes that may still be written.
struct Room(usize);

impl Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// What is made, and the room that is left for more of it.
struct Making {
    input: Data,
    room: Room,
}

impl Making {
    /// Takes `key` of `from` under another name, where it is there. None where there is no room for it.
    fn take(&mut self, from: &Data, key: &str, name: &str) -> Option<()> {
        if let Some(files) = from.files.get(key) {
            files.iter().try_for_each(|id| write!(self.room, "{id},")).ok()?;
            self.input.files.insert(name.to_owned(), files.clone());
        } else if let Some(value) = from.json.get(key) {
            write!(self.room, "{value}").ok()?;
            self.input.json.insert(name.to_owned(), value.clone());
        }
        Some(())
    }
}

/// The input of a node. What a connection leads to and is not there gives nothing: whether the input
/// is enough is for its interface to say. None where its values alone are more than `most` bytes.
///
/// `output_of` is asked once for each node that is connected, and what it gives is let go of before the next.
pub(crate) fn input_of<D: Borrow<Data>>(
    node: &Node,
    recipe_input: &Data,
    output_of: impl Fn(&str) -> Option<D>,
    most: usize,
) -> Option<Data> {
    let mut making = Making { input: Data::default(), room: Room(most) };
    let mut of_nodes: Vec<(&str, &str, &str)> = Vec::new();
    for (name, connection) in &node.connections {
        match connection {
            Connection::Recipe { input } => making.take(recipe_input, input, name)?,
            Connection::Dependency { node, output } => of_nodes.push((node, output, name)),
        }
    }
    of_nodes.sort_unstable();
    for of_node in of_nodes.chunk_by(|(a, ..), (b, ..)| a == b) {
        let Some(output) = output_of(of_node[0].0) else { continue };
        for (_, key, name) in of_node {
            making.take(output.borrow(), key, name)?;
        }
    }
    Some(making.input)
}
