//! The client of a daemon: one request, one JSON answer, every wait and size bounded.
//!
//! Blocking from the outside. A connection per request, on a runtime of the calling thread: commands
//! make few requests, and a connection that is not kept cannot be stale.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use super::failure::{Exit, Failure};
use super::output::printable;

/// Where a daemon listens unless told otherwise.
pub(super) const DEFAULT_LISTEN: &str = "127.0.0.1:7420";

/// Longest wait for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// Longest time for one request and its answer; the daemon gives up earlier.
const ANSWER_WAIT: Duration = Duration::from_secs(40);

/// Largest answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The code of a connection that ended without an answer.
const BROKEN: &str = "broken-connection";

/// Port of an address that names none.
const PORT: u16 = 80;

/// Which daemon.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct ServerArgs {
    /// Address of the daemon
    #[arg(long, value_name = "URL", env = "WEIGHBRIDGE_SERVER", default_value_t = format!("http://{DEFAULT_LISTEN}"))]
    server: String,
}

/// A daemon to ask.
pub(super) struct Client {
    url: String,
    host: String,
    port: u16,
    /// What stands between the host and our paths; usually nothing.
    prefix: String,
    runtime: Runtime,
}

/// What is asked.
struct Question<'q> {
    method: &'q Method,
    path: &'q str,
    body: Option<Bytes>,
    /// The form of the answer.
    accept: &'static str,
}

const JSON: &str = "application/json";

/// What a daemon answered, as it came.
pub(super) struct Raw {
    status: u16,
    headers: HeaderMap,
    pub(super) bytes: Bytes,
}

impl Raw {
    /// A header; nothing where there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl From<Raw> for Answer {
    fn from(raw: Raw) -> Self {
        let Raw { status, bytes, .. } = raw;
        let body = if bytes.is_empty() { Some(Value::Null) } else { serde_json::from_slice(&bytes).ok() };
        Self { status, body }
    }
}

/// What a daemon answered.
struct Answer {
    status: u16,
    /// None where it is not JSON; null where there is nothing.
    body: Option<Value>,
}

/// A failure, and whether it may pass by itself.
type Passing = (Failure, bool);

/// Why there is no answer.
enum NoAnswer {
    /// Nobody there: nothing was sent, so it may be sent again.
    Connect(std::io::Error),
    /// Sent, perhaps heard.
    Broken(String),
    Late(Duration),
}

impl Client {
    pub(super) fn new(args: &ServerArgs) -> Result<Self, Failure> {
        let url = args.server.trim_end_matches('/').to_owned();
        let bad = |why: &str| {
            Failure::usage(format_args!("{url:?} is no address of a daemon: {why}"))
                .help(format_args!("write for instance --server http://{DEFAULT_LISTEN}"))
        };
        let uri: Uri = url.parse().map_err(|error: hyper::http::uri::InvalidUri| bad(&error.to_string()))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(bad("only http is spoken here; put a proxy before it for https")),
            _ => return Err(bad("it does not begin with http://")),
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| bad("it names no host"))?;
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|error| {
            Failure::failed("client", format_args!("could not start the client: {error}"))
        })?;
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(PORT),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            url,
            runtime,
        })
    }

    /// A GET, which changes nothing: sent once more where the connection broke.
    pub(super) fn get(&self, path: &str) -> Result<Value, Failure> {
        let answer = self.ask(&Method::GET, path, None);
        let answer = match answer {
            Err((failure, true)) if failure.code == BROKEN => self.ask(&Method::GET, path, None),
            answer => answer,
        };
        answer.map_err(|(failure, _)| failure)
    }

    /// A GET that says of a failure whether it may pass by itself.
    pub(super) fn try_get(&self, path: &str) -> Result<Value, Passing> {
        self.ask(&Method::GET, path, None)
    }

    pub(super) fn post(&self, path: &str, body: &impl Serialize) -> Result<Value, Failure> {
        self.send(&Method::POST, path, body)
    }

    pub(super) fn put(&self, path: &str, body: &impl Serialize) -> Result<Value, Failure> {
        self.send(&Method::PUT, path, body)
    }

    pub(super) fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.ask(&Method::DELETE, path, None).map_err(|(failure, _)| failure)
    }

    pub(super) fn patch(&self, path: &str, body: &impl Serialize) -> Result<Value, Failure> {
        self.send(&Method::PATCH, path, body)
    }

    /// A POST that may safely be sent again: is sent again, up to `tries` times in all, with
    /// growing pauses, while the daemon cannot be reached or is not ready.
    pub(super) fn post_again(
        &self,
        path: &str,
        body: &impl Serialize,
        tries: u32,
        told: impl Fn(&Failure),
    ) -> Result<Value, Failure> {
        let body = encoded(body)?;
        let mut pause = Duration::from_millis(200);
        let mut left = tries;
        loop {
            left -= 1;
            match self.ask(&Method::POST, path, Some(body.clone())) {
                Ok(answer) => return Ok(answer),
                Err((failure, is_passing)) if is_passing && left > 0 => told(&failure),
                Err((failure, _)) => return Err(failure),
            }
            std::thread::sleep(pause);
            pause *= 2;
        }
    }

    fn send(&self, method: &Method, path: &str, body: &impl Serialize) -> Result<Value, Failure> {
        self.ask(method, path, Some(encoded(body)?)).map_err(|(failure, _)| failure)
    }

    /// A GET of text as it is.
    pub(super) fn try_get_text(&self, path: &str) -> Result<Raw, Passing> {
        let question = Question { method: &Method::GET, path, body: None, accept: "text/plain" };
        match self.runtime.block_on(self.exchange(question)) {
            Ok(raw) if (200..300).contains(&raw.status) => Ok(raw),
            Ok(raw) => {
                let is_passing = raw.status == 503;
                Err((refused(&raw.into()), is_passing))
            }
            Err(error) => Err((self.unreachable(&error), true)),
        }
    }

    fn ask(&self, method: &Method, path: &str, body: Option<Bytes>) -> Result<Value, Passing> {
        let question = Question { method, path, body, accept: JSON };
        match self.runtime.block_on(self.exchange(question)).map(Answer::from) {
            Ok(Answer { status: 200..300, body: Some(body) }) => Ok(body),
            Ok(Answer { status: 200..300, body: None }) => {
                Err((self.stranger("its answer is no JSON"), false))
            }
            Ok(answer) => Err((refused(&answer), answer.status == 503)),
            Err(error) => Err((self.unreachable(&error), true)),
        }
    }

    async fn exchange(&self, question: Question<'_>) -> Result<Raw, NoAnswer> {
        let connect = TcpStream::connect((self.host.as_str(), self.port));
        let stream = tokio::time::timeout(CONNECT_WAIT, connect)
            .await
            .map_err(|_| NoAnswer::Connect(std::io::ErrorKind::TimedOut.into()))?
            .map_err(NoAnswer::Connect)?;
        tokio::time::timeout(ANSWER_WAIT, self.speak(stream, question))
            .await
            .map_err(|_| NoAnswer::Late(ANSWER_WAIT))?
            .map_err(NoAnswer::Broken)
    }

    async fn speak(&self, stream: TcpStream, question: Question<'_>) -> Result<Raw, String> {
        let failed = |error: hyper::Error| error.to_string();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let request = self.request(question)?;
        let answer = async {
            let (head, body) = sender.send_request(request).await.map_err(failed)?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let bytes = body.map_err(|error| error.to_string())?.to_bytes();
            Ok(Raw { status: head.status.as_u16(), headers: head.headers, bytes })
        };
        let driving = tokio::spawn(connection);
        let answer = answer.await;
        driving.abort();
        answer
    }

    fn request(&self, question: Question<'_>) -> Result<Request<Full<Bytes>>, String> {
        let host = self.url.trim_start_matches("http://").split('/').next().unwrap_or_default();
        let mut request = Request::builder()
            .method(question.method)
            .uri(format!("{}{}", self.prefix, question.path))
            .header(HOST, host)
            .header(ACCEPT, HeaderValue::from_static(question.accept));
        if question.body.is_some() {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static(JSON));
        }
        request.body(Full::new(question.body.unwrap_or_default())).map_err(|error| error.to_string())
    }

    /// Somebody else answers there.
    pub(super) fn stranger(&self, why: &str) -> Failure {
        let url = &self.url;
        Failure::failed("not-weighbridge", format_args!("{url} is not a weighbridge server: {why}"))
            .help("name the address that `weighbridge serve` printed with --server")
    }

    fn unreachable(&self, error: &NoAnswer) -> Failure {
        let url = &self.url;
        let help =
            format!("start a daemon with `weighbridge serve`, or name another with --server; {url} is asked");
        match error {
            NoAnswer::Connect(error) => {
                Failure::new(Exit::Unreachable, "unreachable", format_args!("could not reach {url}: {error}"))
                    .help(help)
            }
            NoAnswer::Broken(why) => {
                let message = format!("{url} ended the connection without an answer: {why}");
                Failure::new(Exit::Unreachable, BROKEN, message).help("try again; see the daemon's output")
            }
            NoAnswer::Late(waited) => {
                let message = format!("{url} did not answer within {waited:?}");
                Failure::new(Exit::TimedOut, "timeout", message).help("try again; see the daemon's output")
            }
        }
    }
}

/// `text` as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    let byte = |b: u8| match b {
        _ if b.is_ascii_alphanumeric() || b"-._~:".contains(&b) => char::from(b).to_string(),
        _ => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn encoded(body: &impl Serialize) -> Result<Bytes, Failure> {
    let bytes = serde_json::to_vec(body);
    bytes
        .map(Bytes::from)
        .map_err(|error| Failure::failed("client", format_args!("could not write JSON: {error}")))
}

/// A refusal as a failure: a problem document, or Scale's `detail` or bare text.
fn refused(answer: &Answer) -> Failure {
    let field = |name: &str| answer.body.as_ref()?.get(name)?.as_str();
    let exit = match answer.status {
        400 | 413 | 422 => Exit::Usage,
        404 | 410 => Exit::NotFound,
        408 | 504 => Exit::TimedOut,
        _ => Exit::Failed,
    };
    let code = field("code").unwrap_or(match answer.status {
        404 => "not-found",
        _ => "refused",
    });
    let bare = answer.body.as_ref().and_then(Value::as_str).filter(|_| answer.status < 500);
    let message = field("detail").or(field("title")).or(bare).map(printable);
    let message = message.unwrap_or_else(|| format!("the server answered with status {}", answer.status));
    let failure = match field("field") {
        Some(place) if !message.contains(place) => {
            Failure::new(exit, code, format_args!("{}: {message}", printable(place)))
        }
        _ => Failure::new(exit, code, message),
    };
    match code {
        "no-such-job" => failure.help("`weighbridge jobs` lists those there are; `last` is the newest"),
        "job-not-started" => {
            failure.help("`weighbridge explain` says why it waits; `logs --follow` waits for it")
        }
        "no-such-execution" => failure.help("`weighbridge job` says how many executions a job has"),
        "output-gone" => {
            failure.help("it is kept as long as the sandbox: a Mesos agent removes that in time")
        }
        "output-unreachable" => failure.help("try again in a moment"),
        "no-such-node" => failure.help("`weighbridge nodes` lists those there are"),
        "no-such-job-type" => failure.help("`weighbridge job-type list` shows those there are"),
        "ambiguous-job-type" => Failure { exit: Exit::Usage, ..failure },
        "list-too-broad" => failure.help("narrow it down with --job-type, --status, --since or --id"),
        _ if answer.status == 503 => failure.help("try again in a moment; see the daemon's output"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> Result<Client, Failure> {
        Client::new(&ServerArgs { server: url.to_owned() })
    }

    #[test]
    fn addresses_are_checked_before_they_are_asked() {
        let good = client("http://[::1]:7420/queue/").expect("an address");
        assert_eq!((good.host.as_str(), good.port, good.prefix.as_str()), ("::1", 7_420, "/queue"));
        for bad in ["127.0.0.1:7420", "https://a", "ftp://a", "http://", "http://a b"] {
            let failure = client(bad).map(|_| ()).expect_err(bad);
            assert_eq!(failure.exit, Exit::Usage, "{bad}: {failure}");
        }
    }

    #[test]
    fn names_become_one_segment() {
        assert_eq!(segment("a/b c:1.0"), "a%2Fb%20c:1.0");
    }

    #[test]
    fn problems_become_failures() {
        let check = |status, body: &str, exit, text: &str| {
            let failure = refused(&Answer { status, body: serde_json::from_str(body).ok() });
            assert_eq!((failure.exit, failure.to_string().as_str()), (exit, text));
        };
        check(
            404,
            r#"{"code": "no-such-job", "detail": "no job 7"}"#,
            Exit::NotFound,
            "error: no job 7\nhelp: `weighbridge jobs` lists those there are; `last` is the newest",
        );
        check(400, r#"{"code": "x", "detail": "bad", "field": "id"}"#, Exit::Usage, "error: id: bad");
        check(500, r#""text""#, Exit::Failed, "error: the server answered with status 500");
        check(400, r#""Unexpected fields: a""#, Exit::Usage, "error: Unexpected fields: a");
        check(404, r#"{"detail": "Not found."}"#, Exit::NotFound, "error: Not found.");
        check(502, "<html>", Exit::Failed, "error: the server answered with status 502");
    }
}
