//! Decisions become processes or tasks: what a driver is told, what it tells back.
//!
//! `Driver` is the wall between the engine and what runs executions. The engine hands over
//! `Durable<Launch>` values only, so nothing starts whose record is not on disk; a driver reports
//! with `StatusUpdate`s, which name the launch they speak of.

mod driver;
mod outputs;
mod printed;
mod template;

pub use driver::{Driver, DriverError, Known, Launch, StatusSink, StatusUpdate, TaskState};
pub use outputs::{Left, LeftError, LeftFile, OUTPUTS_FILE, OutputSource};
pub use printed::{OutputStream, Piece, PieceError, PrintedSource, Ran, ReadFrom};
pub(crate) use template::{LAUNCH_NAMES, fill_variable};
pub use template::{Template, TemplateError, fill, placeholders};
