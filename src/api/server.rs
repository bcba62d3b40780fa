//! The server: a listener, a runtime of its own, and what guards every request.
//!
//! Owned by whoever bound it; its threads end with it.
//!
//! V1  At most `connections` are open; the next one waits in the system's queue.
//! V2  A connection that does not get its headers out in time, or idles longer than that, is cut.
//! V3  Every request is answered within `request_timeout`, and a panic is an answer too.
//! V4  After `shutdown` returns nobody holds the engine for a request.

use std::any::Any;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::http::header::{HOST, ORIGIN};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tower_http::catch_panic::CatchPanicLayer;

use super::errors::Problem;
use super::limits::{ANSWER_WAIT_MAX, OUTSIDE_READS_MAX};
use super::routes::{is_text, not_found, router};
use super::state::ApiState;

/// Threads that handle connections.
const WORKERS: usize = 2;

/// Threads that wait for the core's lock on behalf of requests, and beside them those that read what is outside.
const BLOCKING_THREADS_MAX: usize = 16 + OUTSIDE_READS_MAX;

/// Pause after the system refused a connection: it is out of descriptors, or of memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long requests under way may take after the owner dropped the server without a word.
const DROP_GRACE: Duration = Duration::from_millis(200);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Somebody listens there.
    #[error("{listen} is in use: stop what listens there, or choose another address with --listen")]
    InUse {
        /// The address.
        listen: SocketAddr,
    },
    /// The system does not let us.
    #[error("may not listen on {listen}: ports below 1024 need privileges; choose another with --listen")]
    NotPermitted {
        /// The address.
        listen: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("could not listen on {listen}: {source}; is it an address of this machine?")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// The system gives no threads.
    #[error("could not start the threads of the server: {0}")]
    Runtime(std::io::Error),
}

/// Bounds of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Most connections at once.
    pub connections: usize,
    /// Longest wait for the headers of a request, from the last answer on.
    pub header_timeout: Duration,
    /// Longest time a request may take, its body included.
    pub request_timeout: Duration,
    /// Age at which a connection is asked to end, so that a reader that never reads does not stay.
    pub connection_age: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            connections: 1_024,
            header_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(30),
            connection_age: Duration::from_hours(1),
        }
    }
}

impl ServerOptions {
    /// Sets how many connections may be open at once; at least one.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Sets how long the headers of a request are waited for.
    #[must_use]
    pub fn header_timeout(mut self, timeout: Duration) -> Self {
        self.header_timeout = timeout;
        self
    }

    /// Sets how long a request may take.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }
}

const _: () = assert!(ANSWER_WAIT_MAX.as_secs() < 30, "a late write is told as such, not as a timeout");

/// A running server.
pub struct Server {
    local: SocketAddr,
    stop: watch::Sender<bool>,
    /// Taken when it is shut down.
    running: Option<(Runtime, JoinHandle<()>)>,
}

impl Server {
    /// Listens on `listen` (port 0: any free one) and answers from threads of its own.
    pub fn bind(listen: SocketAddr, state: ApiState) -> Result<Self, ServeError> {
        Self::bind_with(listen, state, ServerOptions::default())
    }

    /// The same with other bounds.
    pub fn bind_with(
        listen: SocketAddr,
        state: ApiState,
        options: ServerOptions,
    ) -> Result<Self, ServeError> {
        let refused = |source: std::io::Error| match source.kind() {
            ErrorKind::AddrInUse => ServeError::InUse { listen },
            ErrorKind::PermissionDenied => ServeError::NotPermitted { listen },
            _ => ServeError::Listen { listen, source },
        };
        let listener = TcpListener::bind(listen).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let local = listener.local_addr().map_err(refused)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("weighbridge-http")
            .enable_io()
            .enable_time()
            .build()
            .map_err(ServeError::Runtime)?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(refused)?
        };
        let (stop, stopped) = watch::channel(false);
        let router = guarded(router(state), options.request_timeout);
        let accepting = runtime.spawn(accept_all(listener, router, options, stopped));
        Ok(Self { local, stop, running: Some((runtime, accepting)) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Takes no more connections, gives requests under way `grace`, and cuts what is left then.
    /// True when nothing was cut. Must not be called from async code.
    pub fn shutdown(mut self, grace: Duration) -> bool {
        self.end(grace)
    }

    fn end(&mut self, grace: Duration) -> bool {
        let Some((runtime, accepting)) = self.running.take() else { return true };
        self.stop.send_replace(true);
        let ended = runtime.block_on(async { tokio::time::timeout(grace, accepting).await.is_ok() });
        runtime.shutdown_timeout(grace.max(DROP_GRACE));
        ended
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end(DROP_GRACE);
    }
}

/// Puts around every call what all of them need.
fn guarded(router: Router, request_timeout: Duration) -> Router {
    router
        .layer(CatchPanicLayer::custom(|_: Box<dyn Any + Send>| Problem::internal().into_response()))
        .layer(from_fn_with_state(request_timeout, guard))
}

/// Refuses writes from pages of other sites, and ends what takes too long.
async fn guard(State(timeout): State<Duration>, request: Request, next: Next) -> Response {
    if is_foreign(&request) {
        return Problem::foreign_origin().into_response();
    }
    if !is_text(request.uri().path()) {
        return not_found(request.uri().clone()).await;
    }
    let answer = tokio::time::timeout(timeout, next.run(request)).await;
    answer.unwrap_or_else(|_| Problem::timeout().into_response())
}

/// A browser says from which site a page comes that wants to write. There are no users to check,
/// so any page could write to a daemon on the loopback address without this.
fn is_foreign(request: &Request) -> bool {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(ORIGIN) else { return request.headers().contains_key(ORIGIN) };
    origin.split_once("://").map(|(_, host)| host) != text(HOST)
}

async fn accept_all(
    listener: tokio::net::TcpListener,
    router: Router,
    options: ServerOptions,
    mut stopped: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(options.connections));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(options.header_timeout);
    loop {
        let next = async {
            let slot = slots.clone().acquire_owned().await.expect("it is never closed");
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            next = next => next,
            _ = stopped.changed() => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let serving = serve(stream, builder.clone(), router.clone(), options.connection_age, stopped.clone());
        tokio::spawn(async move {
            serving.await;
            drop(slot);
        });
    }
    drop(listener);
    // Every slot back: every connection has ended.
    let all = u32::try_from(options.connections).unwrap_or(u32::MAX);
    let _ = slots.acquire_many(all).await;
}

/// One connection, from its first request to its end.
async fn serve(
    stream: TcpStream,
    builder: http1::Builder,
    router: Router,
    age: Duration,
    mut stopped: watch::Receiver<bool>,
) {
    // Answers are small; without this they could wait for the peer's acknowledgement.
    let _ = stream.set_nodelay(true);
    let mut connection =
        pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    tokio::select! {
        // However it ended, the peer is gone and there is nobody to tell.
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => {}
        () = tokio::time::sleep(age) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(age, connection).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::StatusCode;
    use axum::routing::{get, post};
    use hyper::service::Service;

    async fn fails() -> StatusCode {
        panic!("on purpose")
    }

    async fn sleeps() -> StatusCode {
        std::future::pending().await
    }

    async fn fine() -> StatusCode {
        StatusCode::OK
    }

    /// Status and `code` of the answer to one request.
    fn call(request: Request) -> (u16, String) {
        let router = Router::new()
            .route("/fails", get(fails))
            .route("/sleeps", get(sleeps))
            .route("/fine", post(fine));
        let service = TowerToHyperService::new(guarded(router, Duration::from_millis(20)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let response = service.call(request).await.expect("infallible");
            let status = response.status().as_u16();
            let body = to_bytes(response.into_body(), 1 << 16).await.expect("a body");
            let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            (status, json["code"].as_str().unwrap_or_default().to_owned())
        })
    }

    fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request {
        let mut builder = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(Body::empty()).expect("a request")
    }

    #[test]
    fn a_panic_is_an_answer_and_so_is_a_handler_that_hangs() {
        assert_eq!(call(request("GET", "/fails", &[])), (500, "internal".into()));
        assert_eq!(call(request("GET", "/sleeps", &[])), (503, "timeout".into()));
    }

    #[test]
    fn pages_of_other_sites_may_not_write() {
        let post = |headers: &[(&str, &str)]| call(request("POST", "/fine", headers)).0;
        assert_eq!(post(&[]), 200);
        assert_eq!(post(&[("host", "127.0.0.1:7420"), ("origin", "http://127.0.0.1:7420")]), 200);
        assert_eq!(post(&[("host", "127.0.0.1:7420"), ("origin", "http://example.com")]), 403);
        assert_eq!(post(&[("host", "127.0.0.1:7420"), ("origin", "null")]), 403);
        assert_eq!(post(&[("host", "127.0.0.1:7420"), ("origin", "http://\u{e4}")]), 403);
    }
}
