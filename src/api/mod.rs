//! REST, metrics and health over HTTP. All JSON that leaves is shaped here.
//!
//! Runs on threads of its own ([`Server`]); callers stay synchronous. Two surfaces over one
//! engine: `scale/` answers under `/v6/` and `/v7/` in the shapes of Scale, `v1/` under `/api/v1/`
//! in our own, with problem documents for errors and the log's position in answers. `routes.rs`
//! lists every call there is. `views/` are the types that become JSON, never those of the core.
//!
//! A1  A write is answered after its events are on disk.
//! A2  Whoever reads after a write that this server answered sees it: reads wait for the view to
//!     reach the newest position that was told to anybody.
//! A3  No thread of the runtime waits for the core's lock: what takes it runs beside them.
//! A4  Every body, wait and count of connections has a bound.

mod body;
mod bulk_filter;
mod definitions;
mod errors;
mod health;
mod job_facts;
mod job_list;
mod limits;
#[cfg_attr(not(test), expect(dead_code, reason = "readers that no call uses yet"))]
mod members;
mod metrics;
mod paging;
#[cfg_attr(not(test), expect(dead_code, reason = "readers that no call uses yet"))]
mod query;
mod routes;
mod scale;
mod server;
mod state;
mod v1;
mod views;

use crate::time;

pub use server::{ServeError, Server, ServerOptions};
pub use state::ApiState;
pub use time::read_instant;
#[cfg(any(test, fuzzing))]
pub(crate) use time::text as instant_text;

#[cfg(any(test, fuzzing))]
pub(crate) use members::read_any;
