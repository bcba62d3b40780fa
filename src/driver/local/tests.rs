//! The driver against a real supervisor process: this test binary again, with
//! `supervisor_process` as its only test.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use super::protocol::{FRAME_BYTES_MAX, Inbox, News, Order, PROTOCOL_VERSION, append_frame};
use super::socket::{LOCK_FILE, StoreDir};
use super::*;
use crate::clock::monotonic;
use crate::launch::{Driver, DriverError, Known, Launch, StatusUpdate, TaskState};
use crate::model::{ExeId, FetchUri, JobId, LaunchName, NodeId, NodeResources, Outcome, Usage};
use crate::wal::Durable;

const STORE_FOR_SUPERVISOR: &str = "WEIGHBRIDGE_TEST_SUPERVISOR_OF";
const IDLE_MS: &str = "WEIGHBRIDGE_TEST_IDLE_MS";
const GRACE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn supervisor_process() {
    let Some(store) = std::env::var_os(STORE_FOR_SUPERVISOR) else { return };
    let idle_ms = std::env::var(IDLE_MS).ok().and_then(|text| text.parse().ok());
    let options = SupervisorOptions { grace: GRACE, idle: Duration::from_millis(idle_ms.unwrap_or(30_000)) };
    run_supervisor(Path::new(&store), &options).expect("a supervisor");
}

fn supervisor_command(store: &Path) -> SupervisorCommand {
    let args = ["driver::local::tests::supervisor_process", "--exact", "--nocapture", "--test-threads=1"];
    let mut command = SupervisorCommand::this_program(args);
    command.env.push((STORE_FOR_SUPERVISOR.into(), store.into()));
    command
}

/// A store with a daemon's driver on it.
struct Fixture {
    _dir: TempDir,
    store: PathBuf,
    driver: Option<LocalDriver>,
    news: Receiver<StatusUpdate>,
    env: Vec<(OsString, OsString)>,
    options: LocalOptions,
}

impl Fixture {
    fn new() -> Self {
        Self::below("s")
    }

    fn below(name: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = dir.path().join(name);
        fs::create_dir_all(&store).expect("a store");
        let store = store.canonicalize().expect("a store");
        let (news, options) = (unbounded().1, LocalOptions::default());
        let mut fixture = Self { _dir: dir, store, driver: None, news, env: vec![], options };
        fixture.come_back();
        fixture
    }

    /// A daemon starts, like after a crash.
    fn come_back(&mut self) {
        let (sink, news) = unbounded();
        let mut command = supervisor_command(&self.store);
        command.env.extend(self.env.clone());
        let sink = Arc::new(move |status| drop(sink.send(status)));
        let driver = LocalDriver::start(&self.store, command, self.options.clone(), sink);
        self.driver = Some(driver.expect("a driver"));
        self.news = news;
    }

    /// The daemon is gone without a word.
    fn crash(&mut self) {
        self.driver = None;
    }

    fn driver(&self) -> &LocalDriver {
        self.driver.as_ref().expect("a daemon")
    }

    fn launch(&self, launches: Vec<Launch>) {
        let launches = launches.into_iter().map(Durable::for_test).collect();
        self.driver().launch(launches).expect("handed over");
    }

    fn next(&self) -> StatusUpdate {
        self.news.recv_timeout(PATIENCE).expect("news")
    }

    fn end(&self, exe: u64) -> (Outcome, Usage) {
        let status = self.next();
        assert_eq!(status.name, name(exe), "{status:?}");
        match status.state {
            TaskState::Ended { outcome, usage } => (outcome, usage),
            other => panic!("{other:?}"),
        }
    }

    fn run(&self, launch: Launch) -> (Outcome, Usage) {
        let exe = launch.name.exe.0;
        self.launch(vec![launch]);
        self.end(exe)
    }

    /// Nothing more comes: asking twice makes sure that what was under way has arrived.
    fn assert_quiet(&self) {
        self.driver().reconcile(&[asked(1)]).expect("an answer");
        assert_eq!(self.news.try_recv().ok(), None);
    }

    fn known(&self, exe: u64) -> Known {
        self.driver().reconcile(&[asked(exe)]).expect("an answer").remove(0)
    }

    fn sandbox(&self, exe: u64) -> PathBuf {
        self.store.join(format!("sandbox/{exe}x1.1"))
    }

    fn output(&self, exe: u64, file: &str) -> String {
        fs::read_to_string(self.sandbox(exe).join(file)).unwrap_or_default()
    }

    fn supervisor(&self) -> Pid {
        pid_in(&self.store.join(LOCK_FILE)).expect("a supervisor")
    }

    fn kill_supervisor(&self) {
        kill_process(self.supervisor(), Signal::KILL).expect("a signal");
    }

    /// Waits until a job has written a number to `file`, a process id.
    fn pid(&self, exe: u64, file: &str) -> Pid {
        let path = self.sandbox(exe).join(file);
        eventually("a process id", || pid_in(&path).is_some());
        pid_in(&path).expect("just seen")
    }

    fn connect(&self) -> Raw {
        let stream = StoreDir::open(&self.store).and_then(|dir| dir.connect()).expect("a supervisor");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Raw { stream, inbox: Inbox::new() }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.crash();
        let lock = self.store.join(LOCK_FILE);
        let is_held = fs::File::open(&lock).is_ok_and(|file| file.try_lock().is_err());
        if let Some(pid) = pid_in(&lock).filter(|_| is_held) {
            let _ = kill_process(pid, Signal::KILL);
        }
        strays::end_all(&self.store);
    }
}

/// A connection that says what it likes.
struct Raw {
    stream: UnixStream,
    inbox: Inbox,
}

impl Raw {
    fn say(&mut self, order: &Order) {
        let mut frame = Vec::new();
        append_frame(&mut frame, order).expect("small");
        self.stream.write_all(&frame).expect("written");
    }

    fn hear(&mut self) -> Option<News> {
        loop {
            if let Some(news) = self.inbox.next().expect("a frame") {
                return Some(news);
            }
            match self.inbox.read_from(&mut self.stream) {
                Ok(0) => return None,
                Ok(_) => {}
                // Closed with bytes of ours unread.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn pid_in(path: &Path) -> Option<Pid> {
    let text = fs::read_to_string(path).ok()?;
    Pid::from_raw(text.strip_suffix('\n')?.parse().ok()?)
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = monotonic() + PATIENCE;
    while !is_so() {
        assert!(monotonic() < deadline, "no {what} in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Stops all threads of a process.
fn stop(pid: Pid) {
    kill_process(pid, Signal::STOP).expect("a signal");
    eventually("stop of the process", || {
        let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).expect("a process");
        threads.map(|thread| fs::read_to_string(thread.expect("a thread").path().join("stat"))).all(|stat| {
            let stat = stat.expect("a thread");
            stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
        })
    });
}

fn assert_gone(pid: Pid) {
    eventually("end of the process", || test_kill_process(pid).is_err());
}

fn name(exe: u64) -> LaunchName {
    LaunchName { exe: ExeId(exe), number: 1 }
}

fn asked(exe: u64) -> (LaunchName, JobId, u32) {
    (name(exe), JobId(exe), 1)
}

fn launch(exe: u64, command: &[&str]) -> Launch {
    Launch {
        name: name(exe),
        job: JobId(exe),
        exe_num: 1,
        cluster_id: format!("scale_job_test_{exe}x1"),
        job_type: "kind".into(),
        job_type_version: "1.0".into(),
        node: NodeId(0),
        resources: NodeResources::new().into(),
        command: command.iter().map(ToString::to_string).collect(),
        env: vec![],
        timeout_s: None,
        gpus: Vec::new(),
        image: None,
        uris: Arc::default(),
        files: Arc::default(),
    }
}

fn shell(exe: u64, script: &str) -> Launch {
    launch(exe, &["sh", "-c", script])
}

#[test]
fn a_launch_that_this_machine_cannot_carry_out_ends_and_is_told_why() {
    let mut fixture = Fixture::new();
    let boxed = |exe| Launch { image: Some("h/a:1".into()), ..shell(exe, "exit 3") };
    let fetches = |exe| Launch { uris: [FetchUri::new("/etc/hostname")].into(), ..shell(exe, "exit 3") };
    let reason = |(outcome, _): (Outcome, Usage)| match outcome {
        Outcome::NotStarted { reason } => reason,
        other => panic!("{other:?}"),
    };
    assert!(reason(fixture.run(boxed(1))).contains("image h/a:1"));
    assert!(reason(fixture.run(fetches(2))).contains("uris"));
    // Those beside it are started; it itself never was, and is never asked for again.
    fixture.launch(vec![boxed(3), shell(4, "exit 4")]);
    assert!(reason(fixture.end(3)).contains("--local-images ignore"));
    assert_eq!(fixture.end(4).0, Outcome::Exited { code: 4 });
    assert_eq!(fixture.known(3), Known::NeverStarted);
    fixture.assert_quiet();
    fixture.crash();
    fixture.options.images = LocalImages::Ignore;
    fixture.come_back();
    // The end that was not acknowledged is told once more.
    assert_eq!(fixture.end(4).0, Outcome::Exited { code: 4 });
    assert_eq!(fixture.run(boxed(5)).0, Outcome::Exited { code: 3 });
    assert!(reason(fixture.run(fetches(6))).contains("uris"));
}

const SUCCESS: Outcome = Outcome::Exited { code: 0 };

#[test]
fn output_and_exit_code_are_kept() {
    let fixture = Fixture::new();
    assert_eq!(fixture.run(shell(1, "echo out; echo err >&2; exit 3")).0, Outcome::Exited { code: 3 });
    assert_eq!((fixture.output(1, "stdout"), fixture.output(1, "stderr")), ("out\n".into(), "err\n".into()));
    let result: serde_json::Value = serde_json::from_str(&fixture.output(1, RESULT_FILE)).expect("a result");
    assert_eq!(result["job_id"], 1);
    assert_eq!(result["launch"]["number"], 1);
    assert_eq!(result["outcome"]["kind"], "exited");
    assert_eq!(result["outcome"]["code"], 3);
    assert!(result["usage"]["wall_us"].as_u64().expect("a number") > 0);
    assert!(result["started"].as_i64() <= result["ended"].as_i64());
}

#[test]
fn a_command_finds_its_directory_environment_and_nothing_to_read() {
    let fixture = Fixture::new();
    let mut one = shell(7, "pwd -P; cat; env");
    one.env = vec![("GREETING".into(), "hello there".into()), ("WEIGHBRIDGE_JOB_ID".into(), "no".into())];
    assert_eq!(fixture.run(one).0, SUCCESS);
    let output = fixture.output(7, "stdout");
    let (store, sandbox) = (fixture.store.display(), fixture.sandbox(7));
    let sandbox = sandbox.display();
    assert!(output.starts_with(&format!("{sandbox}\n")), "{output}");
    for expected in [
        "GREETING=hello there".to_owned(),
        "WEIGHBRIDGE_JOB_ID=7".into(),
        "WEIGHBRIDGE_EXE_NUM=1".into(),
        "WEIGHBRIDGE_EXE_ID=7".into(),
        "WEIGHBRIDGE_LAUNCH=7.1".into(),
        "WEIGHBRIDGE_JOB_TYPE=kind".into(),
        "WEIGHBRIDGE_CLUSTER_ID=scale_job_test_7x1".into(),
        format!("WEIGHBRIDGE_SANDBOX={sandbox}"),
        format!("WEIGHBRIDGE_STORE={store}"),
    ] {
        assert!(output.lines().any(|line| line == expected), "{expected} in {output}");
    }
}

#[test]
fn a_signal_is_told_apart_from_an_exit_code() {
    let fixture = Fixture::new();
    assert_eq!(fixture.run(shell(1, "kill -USR1 $$")).0, Outcome::Signaled { signal: 10 });
    assert_eq!(fixture.run(shell(2, "exit 138")).0, Outcome::Exited { code: 138 });
}

#[test]
fn a_command_that_cannot_start_says_which_and_why() {
    let fixture = Fixture::new();
    let check = |exe: u64, command: &[&str], parts: &[&str]| {
        let (outcome, usage) = fixture.run(launch(exe, command));
        let Outcome::NotStarted { reason } = &outcome else { panic!("{outcome:?}") };
        assert!(parts.iter().all(|part| reason.contains(part)), "{reason}");
        assert_eq!(usage, Usage::default());
        assert!(fixture.output(exe, RESULT_FILE).contains("not_started"));
    };
    check(1, &["no-such-program-at-all"], &["\"no-such-program-at-all\"", "no such program in PATH"]);
    check(2, &["/no/such/program"], &["\"/no/such/program\"", "no such program"]);
    check(3, &["/etc/passwd"], &["\"/etc/passwd\"", "not executable"]);
    check(4, &[], &["empty"]);
    check(5, &["true", "a\0b"], &["\"true\""]);
    let long = "x".repeat(200_000);
    check(6, &["true", &long], &["\"true\"", "too long"]);
}

#[test]
fn a_launch_that_no_frame_holds_fails_alone() {
    let fixture = Fixture::new();
    let long = "x".repeat(FRAME_BYTES_MAX);
    fixture.launch(vec![launch(1, &["true"]), launch(2, &["true", &long]), launch(3, &["true"])]);
    let mut ends: Vec<_> = (0..3).map(|_| fixture.next()).collect();
    ends.sort_by_key(|status| status.name);
    let codes: Vec<_> = ends
        .iter()
        .map(|status| match &status.state {
            TaskState::Ended { outcome, .. } => outcome.code(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(codes, ["completed", "not-started", "completed"]);
}

#[test]
fn peak_memory_and_processor_time_are_plausible() {
    let fixture = Fixture::new();
    let (outcome, usage) = fixture.run(shell(1, "head -c 64000000 /dev/zero | tail -c 64000000 >/dev/null"));
    assert_eq!(outcome, SUCCESS);
    assert!((60_000..160_000).contains(&usage.mem_kib), "{usage:?}");
    let (outcome, usage) = fixture.run(shell(2, "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"));
    assert_eq!(outcome, SUCCESS);
    assert!(usage.cpu_us > 20_000 && usage.cpu_us < 2 * usage.wall_us, "{usage:?}");
    let (_, usage) = fixture.run(shell(3, "sleep 0.2"));
    assert!(usage.wall_us >= 200_000 && usage.cpu_us < 100_000, "{usage:?}");
}

#[test]
fn a_timeout_ends_the_whole_group_even_where_it_ignores_the_polite_signal() {
    let fixture = Fixture::new();
    let script = "trap '' TERM; (trap '' TERM; while :; do sleep 0.1; done) & echo $! >child; echo $$ >self; \
                  while :; do sleep 0.1; done";
    let mut one = shell(1, script);
    one.timeout_s = Some(1);
    let (outcome, usage) = fixture.run(one);
    assert_eq!(outcome, Outcome::TimedOut);
    assert!(usage.wall_us >= 1_000_000 + 300_000, "{usage:?}");
    assert_gone(fixture.pid(1, "child"));
    assert_gone(fixture.pid(1, "self"));
}

#[test]
fn a_timeout_is_polite_first() {
    let fixture = Fixture::new();
    let mut one = shell(1, "trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done");
    one.timeout_s = Some(1);
    assert_eq!(fixture.run(one).0, Outcome::TimedOut);
    assert_eq!(fixture.output(1, "stdout"), "bye\n");
}

#[test]
fn a_kill_ends_what_runs_and_what_waits() {
    let fixture = Fixture::new();
    fixture.launch(vec![shell(1, "echo $$ >self; exec sleep 100")]);
    let pid = fixture.pid(1, "self");
    fixture.driver().kill(name(1)).expect("handed over");
    fixture.driver().kill(name(99)).expect("unknown names are ignored");
    assert_eq!(fixture.end(1).0, Outcome::Canceled);
    assert_gone(pid);
    fixture.driver().kill(name(1)).expect("handed over");
    fixture.assert_quiet();
}

#[test]
fn what_an_execution_leaves_in_its_group_ends_with_it() {
    let fixture = Fixture::new();
    assert_eq!(fixture.run(shell(1, "sleep 100 & echo $! >child")).0, SUCCESS);
    assert_gone(fixture.pid(1, "child"));
}

#[test]
fn what_leaves_the_group_ends_with_its_execution_and_not_before() {
    let fixture = Fixture::new();
    // Its parent ends at once, so it becomes the supervisor's child while the execution runs. It has
    // a child in another session again.
    let leaver = "setsid sh -c 'setsid sh -c \"echo \\$\\$ >second; exec sleep 100\" & echo $$ >first; wait'";
    fixture.launch(vec![shell(1, &format!("({leaver} &); while [ ! -e go ]; do sleep 0.01; done"))]);
    let leavers = ["first", "second"].map(|file| fixture.pid(1, file));
    for exe in 2..10 {
        assert_eq!(fixture.run(launch(exe, &["true"])).0, SUCCESS);
    }
    assert!(leavers.iter().all(|pid| test_kill_process(*pid).is_ok()), "their execution runs");
    fs::write(fixture.sandbox(1).join("go"), "").expect("a file");
    assert_eq!(fixture.end(1).0, SUCCESS);
    leavers.into_iter().for_each(assert_gone);
}

#[test]
fn what_leaves_the_group_ends_with_a_killed_execution() {
    let fixture = Fixture::new();
    fixture.launch(vec![shell(1, "setsid sh -c 'echo $$ >leaver; exec sleep 100' & wait")]);
    let leaver = fixture.pid(1, "leaver");
    fixture.driver().kill(name(1)).expect("handed over");
    assert_eq!(fixture.end(1).0, Outcome::Canceled);
    assert_gone(leaver);
}

#[test]
fn what_leaves_the_group_and_clears_its_environment_stays() {
    let fixture = Fixture::new();
    let script =
        "setsid env -i sh -c 'echo $$ >leaver; exec sleep 100' & while [ ! -s leaver ]; do sleep 0.01; done";
    assert_eq!(fixture.run(shell(1, script)).0, SUCCESS);
    assert_eq!(fixture.run(launch(2, &["true"])).0, SUCCESS);
    let leaver = fixture.pid(1, "leaver");
    kill_process(leaver, Signal::KILL).expect("it is there");
}

#[test]
fn a_launch_that_cannot_be_written_in_time_is_refused() {
    let mut fixture = Fixture::new();
    fixture.crash();
    fixture.options.answer_wait = Duration::from_millis(20);
    fixture.come_back();
    let held = fixture.driver().hold_link();
    let late = fixture.driver().launch(vec![Durable::for_test(launch(1, &["true"]))]);
    assert!(matches!(late, Err(DriverError::Timeout { .. })), "{late:?}");
    let status = fixture.next();
    assert_eq!(status.name, name(1));
    assert!(matches!(status.state, TaskState::Refused { .. }), "{status:?}");
    drop(held);
    assert_eq!(fixture.run(launch(2, &["true"])).0, SUCCESS);
    assert!(!fixture.sandbox(1).exists());
}

#[test]
fn a_kill_while_the_connection_is_gone_counts_when_it_is_back() {
    let fixture = Fixture::new();
    fixture.launch(vec![shell(1, "echo $$ >self; exec sleep 100")]);
    let pid = fixture.pid(1, "self");
    let supervisor = fixture.supervisor();
    // Nobody answers a new connection until it goes on.
    stop(supervisor);
    fixture.driver().break_link();
    fixture.driver().kill(name(1)).expect("kept");
    let error = fixture.driver().kill(name(2)).expect_err("nobody's");
    assert!(matches!(error, DriverError::Gone { .. }), "{error}");
    kill_process(supervisor, Signal::CONT).expect("a signal");
    assert_eq!(fixture.end(1).0, Outcome::Canceled);
    assert_gone(pid);
    fixture.assert_quiet();
}

#[test]
fn a_name_is_started_once_whatever_is_handed_over() {
    let mut fixture = Fixture::new();
    let count = |fixture: &Fixture| fs::read_to_string(fixture.store.join("ran")).expect("a file").len();
    let once = || shell(1, "printf x >>$WEIGHBRIDGE_STORE/ran");
    fixture.launch(vec![once(), once()]);
    fixture.launch(vec![once()]);
    assert_eq!(fixture.end(1).0, SUCCESS);
    fixture.assert_quiet();
    for _ in 0..64 {
        fixture.driver().acknowledge(name(1)).expect("handed over");
    }
    assert_eq!(fixture.run(once()).0, SUCCESS, "forgotten, but its sandbox tells");
    fixture.crash();
    fixture.kill_supervisor();
    fixture.come_back();
    assert_eq!(fixture.run(once()).0, SUCCESS);
    assert_eq!(count(&fixture), 1);
}

#[test]
fn an_execution_outlives_the_daemon_and_its_end_is_told_once() {
    let mut fixture = Fixture::new();
    fixture.launch(vec![shell(1, "while [ ! -e go ]; do sleep 0.01; done; echo done")]);
    eventually("sandbox", || fixture.sandbox(1).is_dir());
    let supervisor = fixture.supervisor();
    fixture.crash();
    fixture.come_back();
    assert_eq!(fixture.supervisor(), supervisor);
    let known = fixture.driver().reconcile(&[asked(1), asked(2)]).expect("answers");
    assert_eq!(known, [Known::Running, Known::NeverStarted]);
    fs::write(fixture.sandbox(1).join("go"), "").expect("a file");
    assert_eq!(fixture.end(1).0, SUCCESS);
    fixture.assert_quiet();
    assert_eq!(fixture.output(1, "stdout"), "done\n");
}

#[test]
fn ends_are_told_again_until_they_are_acknowledged() {
    let mut fixture = Fixture::new();
    fixture.launch((1..=3).map(|exe| launch(exe, &["true"])).collect());
    let first: Vec<_> = (0..3).map(|_| fixture.next()).collect();
    fixture.driver().acknowledge(first[0].name).expect("handed over");
    fixture.crash();
    fixture.come_back();
    let again = [fixture.next(), fixture.next()];
    assert_eq!(again, first[1..]);
    fixture.assert_quiet();
    assert_eq!(fixture.known(again[0].name.exe.0), Known::Ended(again[0].clone()));
    assert_eq!(fixture.known(first[0].name.exe.0), Known::Ended(first[0].clone()), "on disk");
    for status in &again {
        fixture.driver().acknowledge(status.name).expect("handed over");
    }
    fixture.crash();
    fixture.come_back();
    fixture.assert_quiet();
}

#[test]
fn what_a_daemon_sent_with_its_last_breath_counts() {
    let mut fixture = Fixture::new();
    fixture.crash();
    let mut raw = fixture.connect();
    raw.say(&Order::Hello { version: PROTOCOL_VERSION });
    raw.say(&Order::Launch((1..=50).map(|exe| launch(exe, &["true"])).collect()));
    drop(raw);
    fixture.come_back();
    let all: Vec<_> = (1..=50).map(asked).collect();
    let known = fixture.driver().reconcile(&all).expect("answers");
    assert!(known.iter().all(|known| matches!(known, Known::Running | Known::Ended(_))), "{known:?}");
}

#[test]
fn a_new_supervisor_ends_strays_and_tells_what_became_of_each() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.run(shell(1, "exit 5")).0, Outcome::Exited { code: 5 });
    let script = "setsid sh -c 'echo $$ >leaver; exec sleep 100' & sleep 100 & echo $! >child; \
                  echo $$ >self; wait";
    fixture.launch(vec![shell(2, script)]);
    let strays = ["leaver", "child", "self"].map(|file| fixture.pid(2, file));
    fixture.crash();
    fixture.kill_supervisor();
    fixture.come_back();
    let known = fixture.driver().reconcile(&[asked(1), asked(2), asked(3)]).expect("answers");
    assert!(matches!(&known[0], Known::Ended(end)
        if matches!(end.state, TaskState::Ended { outcome: Outcome::Exited { code: 5 }, .. })));
    assert!(matches!(known[1], Known::Lost { .. }), "{known:?}");
    assert_eq!(known[2], Known::NeverStarted);
    strays.into_iter().for_each(assert_gone);
}

#[test]
fn a_store_made_anew_in_the_place_of_another_ends_what_still_runs_there() {
    let mut fixture = Fixture::new();
    fixture.launch(vec![shell(1, "echo $$ >self; exec sleep 100")]);
    let stray = fixture.pid(1, "self");
    fixture.crash();
    fixture.kill_supervisor();
    fs::rename(&fixture.store, fixture.store.with_extension("old")).expect("renamed");
    fs::create_dir(&fixture.store).expect("a store");
    fixture.come_back();
    assert_gone(stray);
    assert_eq!(fixture.known(1), Known::NeverStarted);
}

#[test]
fn a_supervisor_that_dies_is_replaced_and_what_it_had_is_told() {
    let fixture = Fixture::new();
    let old = fixture.supervisor();
    fixture.launch(vec![shell(1, "echo $$ >self; exec sleep 100")]);
    let stray = fixture.pid(1, "self");
    // It reads nothing any more, so the second launch never arrives.
    stop(old);
    fixture.launch(vec![shell(2, "touch $WEIGHBRIDGE_STORE/ran")]);
    fixture.kill_supervisor();
    let mut news = [fixture.next(), fixture.next()];
    news.sort_by_key(|status| status.name);
    assert!(matches!(&news[0].state, TaskState::Ended { outcome: Outcome::Lost { .. }, .. }), "{news:?}");
    assert!(matches!(&news[1].state, TaskState::Refused { .. }), "{news:?}");
    assert_gone(stray);
    assert_ne!(fixture.supervisor(), old);
    assert!(!fixture.store.join("ran").exists());
    assert_eq!(fixture.run(launch(3, &["true"])).0, SUCCESS, "and it goes on");
    assert_gone(old);
}

/// Starts jobs that each write their number down, kills the supervisor after some ends, and compares
/// what was told with what ran.
fn check_supervisor_death_after(n_ends: usize) {
    let fixture = Fixture::new();
    let n_jobs = 60;
    let script = "echo $WEIGHBRIDGE_EXE_ID >>$WEIGHBRIDGE_STORE/ran";
    fixture.launch((1..=n_jobs).map(|exe| shell(exe, script)).collect());
    let mut told: Vec<_> = (0..n_ends).map(|_| fixture.next()).collect();
    fixture.kill_supervisor();
    while (told.len() as u64) < n_jobs {
        told.push(fixture.next());
    }
    fixture.assert_quiet();
    let ran = fs::read_to_string(fixture.store.join("ran")).unwrap_or_default();
    for exe in 1..=n_jobs {
        let n_ran = ran.lines().filter(|line| line.parse() == Ok(exe)).count();
        let states: Vec<_> = told.iter().filter(|status| status.name == name(exe)).collect();
        let [status] = states[..] else { panic!("{exe}: {states:?}") };
        let is_right = match &status.state {
            TaskState::Ended { outcome: Outcome::Lost { .. }, .. } => n_ran <= 1,
            TaskState::Ended { outcome, .. } => *outcome == SUCCESS && n_ran == 1,
            TaskState::Refused { .. } => n_ran == 0,
            TaskState::Running => false,
        };
        assert!(is_right, "killed after {n_ends}: ran {n_ran} times, {status:?}");
    }
}

#[test]
fn each_launch_is_settled_once_whenever_the_supervisor_dies() {
    [0, 1, 7, 30, 55].into_iter().for_each(check_supervisor_death_after);
}

#[test]
fn each_launch_ends_once_however_often_the_daemon_dies() {
    let mut fixture = Fixture::new();
    let n_jobs = 60;
    let script = "echo $WEIGHBRIDGE_EXE_ID >>$WEIGHBRIDGE_STORE/ran";
    fixture.launch((1..=n_jobs).map(|exe| shell(exe, script)).collect());
    let all: Vec<_> = (1..=n_jobs).map(asked).collect();
    for n_ends in [0, 5, 20] {
        (0..n_ends).for_each(|_| drop(fixture.next()));
        fixture.crash();
        fixture.come_back();
        let known = fixture.driver().reconcile(&all).expect("answers");
        assert!(known.iter().all(|known| matches!(known, Known::Running | Known::Ended(_))), "{known:?}");
    }
    eventually("end of all", || {
        let known = fixture.driver().reconcile(&all).expect("answers");
        known.iter().all(|known| matches!(known, Known::Ended(_)))
    });
    let ran = fs::read_to_string(fixture.store.join("ran")).expect("a file");
    let mut ran: Vec<u64> = ran.lines().map(|line| line.parse().expect("a number")).collect();
    ran.sort_unstable();
    assert_eq!(ran, (1..=n_jobs).collect::<Vec<_>>());
}

#[test]
fn a_launch_that_the_machine_has_no_room_for_is_refused_and_leaves_no_trace() {
    let fixture = Fixture::new();
    let folder = fixture.store.join("sandbox");
    fs::remove_dir(&folder).expect("an empty folder");
    fs::write(&folder, "in the way").expect("a file");
    fixture.launch(vec![launch(1, &["true"])]);
    let status = fixture.next();
    assert!(
        matches!(&status.state, TaskState::Refused { reason } if reason.contains("sandbox/1x1.1")),
        "{status:?}"
    );
    fs::remove_file(&folder).expect("removed");
    assert_eq!(fixture.known(1), Known::NeverStarted);
    assert_eq!(fixture.run(launch(1, &["true"])).0, SUCCESS, "the folder comes back by itself");
}

#[test]
fn refusals_that_repeat_are_said_once_in_a_while() {
    let fixture = Fixture::new();
    let folder = fixture.store.join("sandbox");
    fs::remove_dir(&folder).expect("an empty folder");
    fs::write(&folder, "in the way").expect("a file");
    fixture.launch((1..=200).map(|exe| launch(exe, &["true"])).collect());
    for _ in 0..200 {
        assert!(matches!(fixture.next().state, TaskState::Refused { .. }));
    }
    let log = fs::read_to_string(fixture.store.join("supervisor.log")).expect("a log");
    let n_said = log.lines().filter(|line| line.contains("is refused")).count();
    assert!((1..20).contains(&n_said), "{log}");
}

#[test]
fn thousands_of_short_jobs_leave_nothing_behind() {
    let fixture = Fixture::new();
    let (n_jobs, n_flight) = (2_000, 16);
    let supervisor = fixture.supervisor().as_raw_nonzero();
    let n_in = |what: &str| fs::read_dir(format!("/proc/{supervisor}/{what}")).expect("a process").count();
    let children = || fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children"));
    assert_eq!(fixture.run(launch(1, &["true"])).0, SUCCESS);
    let before = (n_in("fd"), n_in("task"));
    // A grandchild that leaves its group becomes the supervisor's child, and then its zombie.
    let script = "setsid sleep 0.01 & exit 0";
    let one = |exe: u64| if exe.is_multiple_of(100) { shell(exe, script) } else { launch(exe, &["true"]) };
    fixture.launch((2..2 + n_flight).map(one).collect());
    for n in 0..n_jobs {
        let status = fixture.next();
        assert!(
            matches!(&status.state, TaskState::Ended { outcome, .. } if *outcome == SUCCESS),
            "{status:?}"
        );
        fixture.driver().acknowledge(status.name).expect("handed over");
        if n + n_flight < n_jobs {
            fixture.launch(vec![one(2 + n + n_flight)]);
        }
    }
    eventually("end of all children", || children().is_ok_and(|children| children.is_empty()));
    assert_eq!((n_in("fd"), n_in("task")), before);
    fixture.assert_quiet();
}

#[test]
fn a_store_may_lie_deeper_than_a_socket_can_be_named() {
    let fixture = Fixture::below(&format!("{0}/{0}", "deep".repeat(40)));
    assert!(fixture.store.as_os_str().len() > 300);
    assert_eq!(fixture.run(shell(1, "pwd")).0, SUCCESS);
    assert_eq!(fixture.output(1, "stdout"), format!("{}\n", fixture.sandbox(1).display()));
}

#[test]
fn hostile_bytes_close_their_connection_and_harm_nobody() {
    let mut fixture = Fixture::new();
    fixture.launch(vec![shell(1, "while [ ! -e go ]; do sleep 0.01; done")]);
    eventually("sandbox", || fixture.sandbox(1).is_dir());
    fixture.crash();
    let hello = Order::Hello { version: PROTOCOL_VERSION };
    for (is_greeted, bytes) in [
        (false, b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        (false, u32::MAX.to_le_bytes().to_vec()),
        (false, [4, 0, 0, 0, 5, 0, 0, 0].to_vec()),
        (true, vec![0xff; 100_000]),
        (true, [12, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 127].to_vec()),
        (true, [5, 0, 0, 0, 5, 0, 0, 0, 0].to_vec()),
    ] {
        let mut raw = fixture.connect();
        if is_greeted {
            raw.say(&hello);
            assert!(matches!(raw.hear(), Some(News::Hello { .. })));
        }
        // It may be closed before all is written.
        let _ = raw.stream.write_all(&bytes);
        assert_eq!(raw.hear(), None, "{:?}", &bytes[..8.min(bytes.len())]);
    }
    let mut half = fixture.connect();
    half.say(&hello);
    half.stream.write_all(&[200, 0, 0, 0, 1]).expect("written");
    drop(half);
    let mut other = fixture.connect();
    other.say(&Order::Hello { version: PROTOCOL_VERSION + 1 });
    let pid = u32::try_from(fixture.supervisor().as_raw_nonzero().get()).expect("positive");
    assert_eq!(other.hear(), Some(News::Hello { version: PROTOCOL_VERSION, pid }));
    assert_eq!(other.hear(), None);
    fixture.come_back();
    assert_eq!(fixture.known(1), Known::Running);
    fs::write(fixture.sandbox(1).join("go"), "").expect("a file");
    assert_eq!(fixture.end(1).0, SUCCESS);
}

#[test]
fn a_second_supervisor_refuses() {
    let fixture = Fixture::new();
    let command = supervisor_command(&fixture.store);
    let second = Command::new(&command.program)
        .args(&command.args)
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .output()
        .expect("a process");
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("AlreadyRunning"), "{said}");
    assert_eq!(fixture.run(launch(1, &["true"])).0, SUCCESS, "the first is not disturbed");
}

#[test]
fn closing_ends_a_supervisor_that_has_nothing_to_do() {
    let fixture = Fixture::new();
    let supervisor = fixture.supervisor();
    assert_eq!(fixture.run(launch(1, &["true"])).0, SUCCESS);
    fixture.driver().close().expect("closed");
    assert_gone(supervisor);
    let error = fixture.driver().kill(name(1)).expect_err("closed");
    assert!(matches!(error, DriverError::Gone { .. }), "{error}");
}

#[test]
fn closing_leaves_a_supervisor_its_work() {
    let mut fixture = Fixture::new();
    fixture.launch(vec![shell(1, "while [ ! -e go ]; do sleep 0.01; done")]);
    eventually("sandbox", || fixture.sandbox(1).is_dir());
    let supervisor = fixture.supervisor();
    fixture.driver().close().expect("closed");
    fixture.come_back();
    fixture.driver().close().expect("closed, though this daemon does not know of it");
    fixture.come_back();
    assert_eq!(fixture.supervisor(), supervisor);
    fs::write(fixture.sandbox(1).join("go"), "").expect("a file");
    assert_eq!(fixture.end(1).0, SUCCESS);
}

#[test]
fn a_supervisor_that_nobody_needs_ends() {
    let mut fixture = Fixture::new();
    fixture.driver().close().expect("closed");
    fixture.env.push((IDLE_MS.into(), "50".into()));
    fixture.come_back();
    let supervisor = fixture.supervisor();
    fixture.launch(vec![shell(1, "while [ ! -e go ]; do sleep 0.01; done")]);
    eventually("sandbox", || fixture.sandbox(1).is_dir());
    fixture.crash();
    assert!(test_kill_process(supervisor).is_ok());
    fs::write(fixture.sandbox(1).join("go"), "").expect("a file");
    assert_gone(supervisor);
    fixture.come_back();
    assert!(matches!(fixture.known(1), Known::Ended(_)), "its result is in the sandbox");
}

#[test]
fn a_supervisor_that_cannot_start_is_said_with_its_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let sink = Arc::new(|_| {});
    let command = |program: &str| SupervisorCommand { program: program.into(), args: vec![], env: vec![] };
    let start = |program| {
        LocalDriver::start(dir.path(), command(program), LocalOptions::default(), sink.clone())
            .err()
            .expect("none")
    };
    assert!(start("/no/such/program").to_string().contains("/no/such/program"));
    let error = start("false").to_string();
    assert!(error.contains("supervisor.log"), "{error}");
}
