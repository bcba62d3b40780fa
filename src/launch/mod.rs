//! Decisions become processes or tasks: what a driver is told, what it tells back.
//!
//! `Driver` is the wall between the engine and what runs executions. The engine hands over
//! `Durable<Launch>` values only, so nothing starts whose record is not on disk; a driver reports
//! with `StatusUpdate`s, which name the launch they speak of.

mod driver;
mod template;

pub use driver::{Driver, DriverError, Known, Launch, StatusSink, StatusUpdate, TaskState};
pub(crate) use template::{LAUNCH_NAMES, fill_variable};
pub use template::{Template, TemplateError, fill, placeholders};
