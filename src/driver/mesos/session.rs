//! One subscription at one master: a thread that reads its events, and the connection for calls.
//!
//! S1  A session ends once, and says why: after that nothing comes out of it any more.
//! S2  Every wait has an end: for a connection, for an answer, and for the next event, since a master sends a
//!     heartbeat where there is nothing else.
//! S3  Whoever drops the receiver ends the thread with its next event, or with its silence.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::address::Address;
use super::call::{Call, subscribe};
use super::calls::Calls;
use super::event::Event;
use super::http::{Chunks, Head, SCHEDULER, basic, connect, request};
use super::options::MesosOptions;
use super::recordio::Records;
use crate::limits::MESOS_EVENTS_MAX;

/// Heartbeats that may be missed.
const HEARTBEATS: f64 = 3.0;

/// Seconds between them, where a master does not tell; and the fewest and most that are believed.
const HEARTBEAT: f64 = 15.0;
const HEARTBEAT_MIN: f64 = 1.0;
const HEARTBEAT_MAX: f64 = 300.0;

/// Bytes that are read of events at once.
const READ_BYTES: usize = 64 << 10;

/// What comes out of a session.
#[derive(Debug)]
pub(super) enum News {
    /// First of all: the master has taken the framework.
    Subscribed(Box<Session>),
    Event(Event),
    /// Last of all.
    Over(Ended),
}

/// Why there is no subscription, or none any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Another one leads.
    Elsewhere(Address),
    /// To ask again is of no use.
    Refused(String),
    /// It may go well another time.
    Lost(String),
}

fn lost(error: &io::Error) -> Ended {
    let is_silence = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
    Ended::Lost(if is_silence { "the master is silent".to_owned() } else { error.to_string() })
}

/// Begins a session. `wake` is called after each piece of news.
pub(super) fn begin(
    options: &Arc<MesosOptions>,
    master: Address,
    framework_id: Option<String>,
    wake: Arc<dyn Fn() + Send + Sync>,
) -> io::Result<Receiver<News>> {
    let (tell, heard) = bounded(MESOS_EVENTS_MAX);
    let options = options.clone();
    let thread = std::thread::Builder::new().name("weighbridge-events".to_owned());
    thread.spawn(move || {
        let told = Teller { tell, wake };
        let ended = run(&options, &master, framework_id.as_deref(), &told);
        told.tell(News::Over(ended));
    })?;
    Ok(heard)
}

struct Teller {
    tell: Sender<News>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Teller {
    /// False where nobody listens any more.
    fn tell(&self, news: News) -> bool {
        let is_heard = self.tell.send(news).is_ok();
        (self.wake)();
        is_heard
    }
}

/// What is sent to a master that asks who it is.
pub(super) fn authorization(options: &MesosOptions) -> Option<String> {
    let principal = options.principal.as_ref()?;
    Some(basic(principal, options.secret.as_deref().unwrap_or_default()))
}

fn run(options: &MesosOptions, master: &Address, framework_id: Option<&str>, told: &Teller) -> Ended {
    let authorization = authorization(options);
    let stream = match connect(master) {
        Ok(stream) => stream,
        Err(error) => return Ended::Lost(format!("no connection to {master}: {error}")),
    };
    match read_all(options, master, framework_id, authorization, stream, told) {
        Ok(ended) => ended,
        Err(error) => lost(&error),
    }
}

fn read_all(
    options: &MesosOptions,
    master: &Address,
    framework_id: Option<&str>,
    authorization: Option<String>,
    mut stream: TcpStream,
    told: &Teller,
) -> io::Result<Ended> {
    let body = subscribe(options, framework_id);
    stream.write_all(&request(master, SCHEDULER, authorization.as_deref(), None, &body))?;
    let mut answer = BufReader::with_capacity(READ_BYTES, stream.try_clone()?);
    let head = Head::read(&mut answer)?;
    if head.status != 200 {
        return refusal(master, &head, &mut answer);
    }
    let Some(stream_id) = head.header("mesos-stream-id").map(str::to_owned) else {
        return Ok(Ended::Lost("the answer to SUBSCRIBE has no Mesos-Stream-Id".to_owned()));
    };
    let mut events = Events::new(answer, head.is_chunked());
    let subscribed = match events.next()? {
        Event::Subscribed(subscribed) => subscribed,
        Event::Error(why) => return Ok(Ended::Refused(why)),
        other => return Ok(Ended::Lost(format!("the first event is {other:?}"))),
    };
    let every = subscribed.heartbeat_interval_seconds.filter(|every| every.is_finite()).unwrap_or(HEARTBEAT);
    let silence = Duration::from_secs_f64(every.clamp(HEARTBEAT_MIN, HEARTBEAT_MAX) * HEARTBEATS);
    stream.set_read_timeout(Some(silence))?;
    let session = Session {
        master: master.clone(),
        framework_id: subscribed.framework_id().to_owned(),
        stream_id,
        authorization,
        events: stream,
        calls: Calls::begin(connect(master)?, told.wake.clone())?,
    };
    if !told.tell(News::Subscribed(Box::new(session))) {
        return Ok(Ended::Lost("nobody listens".to_owned()));
    }
    loop {
        let event = match events.next() {
            Ok(Event::Error(why)) => return Ok(Ended::Refused(why)),
            Ok(event) => event,
            Err(error) => return Ok(lost(&error)),
        };
        if !told.tell(News::Event(event)) {
            return Ok(Ended::Lost("nobody listens".to_owned()));
        }
    }
}

/// What an answer that is no subscription means.
fn refusal(master: &Address, head: &Head, answer: &mut impl BufRead) -> io::Result<Ended> {
    if let (300..400, Some(location)) = (head.status, head.header("location")) {
        return Ok(match location.parse() {
            Ok(leader) => Ended::Elsewhere(leader),
            Err(error) => Ended::Lost(format!("{master} sends elsewhere: {error}")),
        });
    }
    let why = format!("{master} answers {}: {}", head.status, head.finish(answer)?);
    Ok(if matches!(head.status, 400 | 401 | 403) { Ended::Refused(why) } else { Ended::Lost(why) })
}

/// The events in the body of an answer.
struct Events {
    body: Box<dyn Read>,
    records: Records,
    buffer: Vec<u8>,
    /// What of the buffer was read and not yet taken.
    unread: std::ops::Range<usize>,
}

impl Events {
    fn new(answer: BufReader<TcpStream>, is_chunked: bool) -> Self {
        let body: Box<dyn Read> = if is_chunked { Box::new(Chunks::new(answer)) } else { Box::new(answer) };
        Self { body, records: Records::default(), buffer: vec![0; READ_BYTES], unread: 0..0 }
    }

    /// The next one; waits for it.
    fn next(&mut self) -> io::Result<Event> {
        loop {
            let mut bytes = &self.buffer[self.unread.clone()];
            let record = self.records.next(&mut bytes).map_err(io::Error::other)?;
            self.unread.start = self.unread.end - bytes.len();
            if let Some(record) = record {
                return Event::read(&record).map_err(io::Error::other);
            }
            let n = self.body.read(&mut self.buffer)?;
            if n == 0 {
                let cut_off = std::mem::take(&mut self.records).end().err().map(|error| error.to_string());
                let why = cut_off.unwrap_or_else(|| "the master ended the subscription".to_owned());
                return Err(io::Error::other(why));
            }
            self.unread = 0..n;
        }
    }
}

/// The connection for calls of a subscription.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) master: Address,
    pub(super) framework_id: String,
    stream_id: String,
    authorization: Option<String>,
    /// To end the thread that reads.
    events: TcpStream,
    calls: Calls,
}

impl Session {
    /// Sends calls, in order, and takes them out of `calls`: as many as may wait for their answers. What comes of
    /// them is told by events.
    ///
    /// # Errors
    /// Where the connection is of no use any more: which of the calls arrived is not known.
    pub(super) fn send(&mut self, calls: &mut Vec<Call>) -> io::Result<usize> {
        let n = calls.len().min(self.calls.room());
        let Self { master, framework_id, stream_id, authorization, calls: connection, .. } = self;
        let request = |call: Call| {
            let body = call.body(framework_id);
            request(master, SCHEDULER, authorization.as_deref(), Some(stream_id), &body)
        };
        connection.send(calls.drain(..n).map(request))?;
        Ok(n)
    }

    /// Why no calls can be made any more, if so; once.
    pub(super) fn failure(&self) -> Option<String> {
        self.calls.failure()
    }

    /// Whether the master has all that was sent.
    pub(super) fn is_answered(&self) -> bool {
        self.calls.n_waiting() == 0
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Where it is closed already there is nobody to end.
        let _ = self.events.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const HEAD: &str = "HTTP/1.1 200 OK\r\nMesos-Stream-Id: s\r\nTransfer-Encoding: chunked\r\n\r\n";

    const SUBSCRIBED: &str = r#"{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"f"}}}"#;

    fn record(text: &str) -> String {
        format!("{}\n{text}", text.len())
    }

    fn chunk(text: &str) -> String {
        format!("{:x}\r\n{text}\r\n", text.len())
    }

    /// Reads one call, and gives it with its head.
    fn call(stream: &mut TcpStream) -> String {
        let mut from = BufReader::new(stream);
        let (mut head, mut line) = (String::new(), String::new());
        while line != "\r\n" {
            line.clear();
            from.read_line(&mut line).expect("a head");
            head.push_str(&line);
        }
        let length =
            head.split_once("Content-Length: ").and_then(|(_, rest)| rest.lines().next()?.parse().ok());
        let mut body = vec![0; length.expect("a length")];
        from.read_exact(&mut body).expect("a body");
        head + &String::from_utf8(body).expect("JSON")
    }

    /// What comes out of a session at a master that answers so, and then ends the connection.
    fn session(answer: &str) -> (String, Vec<News>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut options =
            MesosOptions::new(&listener.local_addr().expect("bound").to_string()).expect("an address");
        (options.principal, options.secret) = (Some("a".to_owned()), Some("b".to_owned()));
        let master = options.masters[0].clone();
        let heard =
            begin(&Arc::new(options), master, Some("f".to_owned()), Arc::new(|| {})).expect("a thread");
        let (mut stream, _) = listener.accept().expect("a connection");
        let asked = call(&mut stream);
        stream.write_all(answer.as_bytes()).expect("sent");
        drop(stream);
        (asked, heard.iter().collect())
    }

    fn end_of(answer: &str) -> Ended {
        let (_, mut news) = session(answer);
        match news.pop() {
            Some(News::Over(ended)) => ended,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_subscription_says_who_asks_and_gives_events_until_it_ends() {
        let events = [record(SUBSCRIBED), record(r#"{"type":"HEARTBEAT"}"#)].concat();
        let (one, two) = events.split_at(20);
        let (asked, news) = session(&[HEAD, &chunk(one), &chunk(two), "0\r\n\r\n"].concat());
        assert!(asked.starts_with("POST /api/v1/scheduler HTTP/1.1\r\n") && asked.contains("Basic YTpi\r\n"));
        assert!(asked.contains(r#""framework_id":{"value":"f"}"#), "{asked}");
        let [News::Subscribed(session), News::Event(Event::Heartbeat), News::Over(Ended::Lost(why))] = &*news
        else {
            panic!("{news:?}");
        };
        assert_eq!((session.framework_id.as_str(), why.as_str()), ("f", "the master ended the subscription"));
    }

    #[test]
    fn a_master_that_does_not_lead_or_refuses_is_understood() {
        let redirect = "HTTP/1.1 307 Temporary Redirect\r\nLocation: //h:5051/api/v1/scheduler\r\n\r\n";
        assert_eq!(end_of(redirect), Ended::Elsewhere("h:5051".parse().expect("an address")));
        let nowhere = "HTTP/1.1 307 Temporary Redirect\r\nLocation: https://h\r\n\r\n";
        assert!(matches!(end_of(nowhere), Ended::Lost(why) if why.contains("plain HTTP")));
        let unknown = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno";
        assert!(matches!(end_of(unknown), Ended::Refused(why) if why.ends_with("401: no")));
        let none_leads = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
        assert!(matches!(end_of(none_leads), Ended::Lost(why) if why.contains("503")));
        let error = chunk(&record(r#"{"type":"ERROR","error":{"message":"removed"}}"#));
        assert_eq!(end_of(&[HEAD, &error].concat()), Ended::Refused("removed".to_owned()));
        let later = [HEAD, &chunk(&record(SUBSCRIBED)), &error].concat();
        assert_eq!(end_of(&later), Ended::Refused("removed".to_owned()));
    }

    #[test]
    fn what_a_master_must_not_send_ends_the_session_in_words() {
        let check = |answer: &str, part: &str| {
            let ended = end_of(answer);
            assert!(matches!(&ended, Ended::Lost(why) if why.contains(part)), "{answer:?}: {ended:?}");
        };
        let after = |text: &str| [HEAD, &chunk(&record(SUBSCRIBED)), text].concat();
        check("", "ended the connection");
        check("garbage\r\n\r\n", "no HTTP answer");
        check("HTTP/1.1 200 OK\r\n\r\n", "Mesos-Stream-Id");
        check(&[HEAD, &chunk(&record(r#"{"type":"HEARTBEAT"}"#))].concat(), "first event");
        check(&after(&chunk("1073741824\n{}")), "more than");
        check(&after(&chunk("what\n")), "length of a record");
        check(&after(&chunk("9\n{garbage}")), "no event");
        check(&after("zz\r\n"), "length of a chunk");
        check(&after(&[&chunk("19\n{\"ty"), "0\r\n\r\n"].concat()), "cut off");
        check(&after("5\r\n19"), "ended the connection");
    }
}
