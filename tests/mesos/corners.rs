//! What happens in an order that no real master can be made to keep to, told by one that does what the test says.

use serde_json::{Value, json};

use crate::common::{Daemon, Place, until};
use crate::fake_master::{FRAMEWORK, FakeMaster, begun, record};
use crate::http::Client;
use crate::kit;

struct Corner {
    master: FakeMaster,
    place: Place,
    daemon: Daemon,
}

impl Corner {
    fn new() -> Self {
        Self::with(Place::new(), &[])
    }

    fn with(place: Place, options: &[&str]) -> Self {
        let master = FakeMaster::new();
        let address = master.address.to_string();
        let daemon = Daemon::start(&place, &[&["--store", "s", "--mesos", &address], options].concat());
        let corner = Self { master, place, daemon };
        assert_eq!(corner.master.call("SUBSCRIBE")["framework_id"], Value::Null, "it is new");
        corner
    }

    fn ask(&self, args: &[&str]) -> Value {
        self.daemon.ask(&self.place, &[&["--output", "json"], args].concat()).expect(0).json()
    }

    /// One job, which waits.
    fn submit(&self) {
        self.ask(&["job-type", "create", "nap", "--cpus", "1", "--mem", "32", "--", "sleep", "1"]);
        self.ask(&["submit", "nap"]);
    }

    /// One job that leaves a number, which waits.
    fn submit_with_output(&self) {
        let manifest = kit::manifest("gives", &[], &["N"]);
        self.place.write("gives.json", &manifest.to_string());
        self.ask(&["job-type", "create", "--manifest", "gives.json"]);
        self.ask(&["submit", "gives"]);
    }

    /// How its one job stands: its status, its executions and the launches of the last one.
    fn job(&self) -> (String, u64, u64) {
        let job = self.ask(&["job", "1"]);
        let number = |name: &str| job[name].as_u64().expect("a number");
        (job["status"].as_str().expect("a status").to_owned(), number("num_exes"), number("launches"))
    }

    /// A figure of the framework.
    fn figure(&self, name: &str) -> u64 {
        let url = self.daemon.url.trim_start_matches("http://").trim_end_matches('/');
        let status = Client(url.parse().expect("an address")).get("/api/v1/status").expect(200);
        status["driver"]["figures"][name].as_u64().expect("a figure")
    }

    fn wait_for(&self, status: &str, num_exes: u64, launches: u64) {
        until(status, || self.job() == (status.to_owned(), num_exes, launches));
    }

    /// The task that is launched on an offer.
    fn launched(&self, offer: &str) -> String {
        let call = self.master.call("ACCEPT");
        assert_eq!(call["accept"]["offer_ids"], json!([{ "value": offer }]));
        let task = &call["accept"]["operations"][0]["launch"]["task_infos"][0]["task_id"]["value"];
        task.as_str().expect("a task").to_owned()
    }

    /// Tells news of a task, and waits until that is acknowledged.
    fn tell(&self, task: &str, state: &str, uuid: &str) {
        self.master.send(&[FakeMaster::update(task, state, "", Some(uuid))]);
        let kept = self.master.call("ACKNOWLEDGE");
        assert_eq!(
            (&kept["acknowledge"]["task_id"]["value"], &kept["acknowledge"]["uuid"]),
            (&task.into(), &uuid.into())
        );
    }
}

#[test]
fn a_launch_on_a_stale_offer_is_launched_again_and_late_news_of_the_first_change_nothing() {
    let corner = Corner::new();
    corner.submit();
    corner.master.send(&[FakeMaster::offer("o-1")]);
    let first = corner.launched("o-1");
    corner.master.send(&[FakeMaster::update(&first, "TASK_LOST", "REASON_INVALID_OFFERS", None)]);
    until("its place", || corner.job().0 == "QUEUED");
    corner.master.send(&[FakeMaster::offer("o-2")]);
    let second = corner.launched("o-2");
    assert_eq!((&*first, &*second), ("scale_job_local_1x1_1.1", "scale_job_local_1x1_1.2"));
    corner.tell(&second, "TASK_RUNNING", "AAAA");
    // It had arrived all the same, and is not wanted any more.
    corner.master.send(&[FakeMaster::update(&first, "TASK_RUNNING", "", Some("BBBB"))]);
    assert_eq!(corner.master.call("KILL")["kill"]["task_id"]["value"], first);
    corner.tell(&first, "TASK_FAILED", "CCCC");
    assert_eq!(corner.job(), ("RUNNING".to_owned(), 1, 2));
    until("its figure", || corner.figure("tasks_refused") == 1);
    corner.tell(&second, "TASK_FINISHED", "DDDD");
    corner.wait_for("COMPLETED", 1, 2);
    // The same again, and an older one after it.
    corner.tell(&second, "TASK_FINISHED", "DDDD");
    corner.tell(&first, "TASK_FAILED", "CCCC");
    assert_eq!(corner.job(), ("COMPLETED".to_owned(), 1, 2));
}

#[test]
fn an_offer_that_is_taken_back_before_it_is_used_is_not_used() {
    let corner = Corner::new();
    // Nothing waits yet, so it is held when it is taken back.
    let back = json!({ "type": "RESCIND", "rescind": { "offer_id": { "value": "o-1" } } });
    corner.master.send(&[FakeMaster::offer("o-1"), back]);
    corner.submit();
    corner.master.send(&[FakeMaster::offer("o-2")]);
    let task = corner.launched("o-2");
    corner.tell(&task, "TASK_FINISHED", "AAAA");
    corner.wait_for("COMPLETED", 1, 1);
}

#[test]
fn offers_of_an_agent_in_whose_place_another_makes_some_are_given_back() {
    let corner = Corner::new();
    // Held, while something waits that it is too small for.
    corner.ask(&["job-type", "create", "wide", "--cpus", "9", "--mem", "32", "--", "true"]);
    corner.ask(&["submit", "wide"]);
    let mut other = FakeMaster::offer("o-2");
    other["offers"]["offers"][0]["agent_id"]["value"] = "a-2".into();
    corner.master.send(&[FakeMaster::offer("o-1"), other]);
    let declined = corner.master.call("DECLINE");
    assert_eq!(declined["decline"]["offer_ids"], json!([{ "value": "o-1" }]));
}

#[test]
fn an_agent_is_left_alone_around_its_maintenance_and_not_after_it() {
    let corner = Corner::new();
    corner.submit();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos();
    let now = u64::try_from(now).expect("before 2554");
    let offer = |name: &str, hours_ago: u64, hours: Option<u64>| {
        let nanoseconds = |hours: u64| json!({ "nanoseconds": hours * 3_600_000_000_000 });
        let start = now - hours_ago * 3_600_000_000_000;
        let mut offer = FakeMaster::offer(name);
        let gone = &mut offer["offers"]["offers"][0]["unavailability"];
        *gone = json!({ "start": { "nanoseconds": start } });
        if let Some(hours) = hours {
            gone["duration"] = nanoseconds(hours);
        }
        offer
    };
    for (name, hours) in [("o-1", Some(3)), ("o-2", None)] {
        corner.master.send(&[offer(name, 2, hours)]);
        let declined = corner.master.call("DECLINE");
        assert_eq!(declined["decline"]["offer_ids"], json!([{ "value": name }]));
    }
    corner.master.send(&[offer("o-3", 2, Some(1))]);
    let task = corner.launched("o-3");
    corner.tell(&task, "TASK_FINISHED", "AAAA");
    corner.wait_for("COMPLETED", 1, 1);
}

#[test]
fn an_agent_that_drops_what_is_launched_there_is_left_alone_for_a_while() {
    let corner = Corner::new();
    corner.submit();
    // The second is held for what comes next.
    corner.master.send(&[FakeMaster::offer("o-1")]);
    let first = corner.launched("o-1");
    corner.master.send(&[FakeMaster::offer("o-2")]);
    let dropped = FakeMaster::update(&first, "TASK_DROPPED", "REASON_AGENT_DRAINING", None);
    corner.master.send(&[dropped, FakeMaster::offer("o-3")]);
    for name in ["o-2", "o-3"] {
        let declined = corner.master.call("DECLINE");
        assert_eq!(declined["decline"]["offer_ids"], json!([{ "value": name }]));
        let pause = declined["decline"]["filters"]["refuse_seconds"].as_f64().expect("a number");
        assert!(pause > 0.0 && pause <= 1.0, "{pause}");
    }
    let mut other = FakeMaster::offer("o-4");
    other["offers"]["offers"][0]["agent_id"]["value"] = "a-2".into();
    other["offers"]["offers"][0]["hostname"] = "h-2".into();
    corner.master.send(&[other]);
    let second = corner.launched("o-4");
    corner.tell(&second, "TASK_FINISHED", "BBBB");
    corner.wait_for("COMPLETED", 1, 2);
}

#[test]
fn an_end_that_comes_while_its_task_is_being_killed_counts_once() {
    let corner = Corner::new();
    corner.submit();
    corner.master.send(&[FakeMaster::offer("o-1")]);
    let task = corner.launched("o-1");
    corner.tell(&task, "TASK_RUNNING", "AAAA");
    corner.ask(&["cancel", "1"]);
    assert_eq!(corner.master.call("KILL")["kill"]["task_id"]["value"], task);
    corner.tell(&task, "TASK_FINISHED", "BBBB");
    corner.tell(&task, "TASK_KILLED", "CCCC");
    assert_eq!(corner.job(), ("CANCELED".to_owned(), 1, 1));
}

#[test]
fn a_launch_whose_call_is_refused_is_asked_for_and_found() {
    for status in [400, 503] {
        let corner = Corner::new();
        corner.submit();
        corner.master.refuse_next_accept(status);
        corner.master.send(&[FakeMaster::offer("o-1")]);
        let task = corner.launched("o-1");
        assert_eq!(corner.master.call("SUBSCRIBE")["framework_id"]["value"], FRAMEWORK);
        let asked = corner.master.call("RECONCILE");
        assert_eq!(asked["reconcile"]["tasks"][0]["task_id"]["value"], task, "{asked}");
        // It had arrived all the same.
        corner.master.send(&[FakeMaster::update(&task, "TASK_RUNNING", "REASON_RECONCILIATION", None)]);
        corner.tell(&task, "TASK_FINISHED", "AAAA");
        corner.wait_for("COMPLETED", 1, 1);
    }
}

#[test]
fn an_end_that_is_told_without_its_reason_waits_for_its_own_news() {
    let corner = Corner::new();
    corner.submit();
    corner.master.send(&[FakeMaster::offer("o-1")]);
    let task = corner.launched("o-1");
    corner.tell(&task, "TASK_RUNNING", "AAAA");
    let answer = FakeMaster::update(&task, "TASK_KILLED", "REASON_RECONCILIATION", None);
    let is_back = FakeMaster::update(&task, "TASK_KILLED", "REASON_AGENT_REREGISTERED", None);
    let own = FakeMaster::update(&task, "TASK_KILLED", "REASON_AGENT_DRAINING", Some("BBBB"));
    corner.master.send(&[answer, is_back, own]);
    until("its place", || corner.job().0 == "QUEUED");
    let job = corner.ask(&["job", "1"]);
    assert_eq!((&job["tries"], &job["end"]["code"]), (&0.into(), &"lost".into()), "{job:#}");
}

#[test]
fn after_anything_that_a_master_must_not_send_it_subscribes_again_with_the_same_id() {
    let corner = Corner::new();
    let here = corner.master.address;
    let subscribed =
        json!({ "type": "SUBSCRIBED", "subscribed": { "framework_id": { "value": FRAMEWORK } } });
    let after = |rest: &str| begun(&(record(&subscribed.to_string()) + rest));
    let sent_on =
        |to: &str| format!("HTTP/1.1 307 X\r\nLocation: {to}/api/v1/scheduler\r\nContent-Length: 0\r\n\r\n");
    let answers = [
        "garbage\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
        after("b\r\n1073741824\n\r\n"),
        after("5\r\n19"),
        sent_on(&format!("//{here}")),
        sent_on(&format!("http://{here}")),
    ];
    let n_answers = answers.len();
    for answer in answers {
        corner.master.answer_next(answer);
    }
    corner.master.hang_up();
    // The last of them is taken.
    for _ in 0..=n_answers {
        assert_eq!(corner.master.call("SUBSCRIBE")["framework_id"]["value"], FRAMEWORK);
    }
    corner.submit();
    corner.master.send(&[FakeMaster::offer("o-1")]);
    let task = corner.launched("o-1");
    corner.tell(&task, "TASK_FINISHED", "AAAA");
    corner.wait_for("COMPLETED", 1, 1);
}

#[test]
fn a_master_that_is_silent_is_left_and_subscribed_at_again() {
    let corner = Corner::new();
    corner.master.set_heartbeat(1.0);
    corner.master.hang_up();
    // Nothing is told from here on.
    for _ in 0..2 {
        assert_eq!(corner.master.call("SUBSCRIBE")["framework_id"]["value"], FRAMEWORK);
    }
}

#[test]
fn an_end_is_acknowledged_once_it_is_known_whether_its_outputs_are() {
    let corner = Corner::with(Place::new(), &["--mesos-outputs-wait", "5s"]);
    corner.submit_with_output();
    corner.master.send(&[FakeMaster::offer("o-1")]);
    let task = corner.launched("o-1");
    corner.tell(&task, "TASK_RUNNING", "AAAA");
    // Told by the master first, then by its agent, again and again; and, late, what is not so any more. Nobody tells
    // where the agent is.
    corner.master.send(&[
        FakeMaster::update(&task, "TASK_FINISHED", "REASON_RECONCILIATION", None),
        FakeMaster::update(&task, "TASK_FINISHED", "", Some("BBBB")),
        FakeMaster::update(&task, "TASK_UNREACHABLE", "REASON_RECONCILIATION", None),
        FakeMaster::update(&task, "TASK_RUNNING", "REASON_RECONCILIATION", None),
        FakeMaster::update(&task, "TASK_FINISHED", "", Some("BBBB")),
    ]);
    until("the end", || corner.figure("outputs_waiting") == 1);
    assert_eq!(corner.job(), ("RUNNING".to_owned(), 1, 1));
    let kept = corner.master.call("ACKNOWLEDGE");
    assert_eq!(kept["acknowledge"]["uuid"], "BBBB", "{kept}");
    // That it was lost is on record by then.
    assert_eq!(corner.job(), ("QUEUED".to_owned(), 2, 0));
    until("the figures", || {
        (corner.figure("outputs_unreadable"), corner.figure("outputs_waiting")) == (1, 0)
    });
    corner.tell(&task, "TASK_FINISHED", "BBBB");
    assert_eq!(corner.job(), ("QUEUED".to_owned(), 2, 0), "an old one changes nothing");
}

#[test]
fn a_job_that_is_canceled_while_its_outputs_are_looked_for_gives_none() {
    let corner = Corner::with(Place::new(), &["--mesos-outputs-wait", "1h"]);
    corner.submit_with_output();
    corner.master.send(&[FakeMaster::offer("o-1")]);
    let task = corner.launched("o-1");
    corner.master.send(&[FakeMaster::update(&task, "TASK_FINISHED", "", Some("AAAA"))]);
    until("the end", || corner.figure("outputs_waiting") == 1);
    corner.ask(&["cancel", "1"]);
    assert_eq!(corner.master.call("ACKNOWLEDGE")["acknowledge"]["uuid"], "AAAA");
    assert_eq!(corner.job(), ("CANCELED".to_owned(), 1, 1));
}

#[test]
fn what_an_executor_of_ones_own_runs_completes_without_outputs() {
    let place = Place::new();
    place.write(
        "executor.json",
        &json!({ "command": { "value": "many" }, "resources": { "cpus": 0.1 } }).to_string(),
    );
    let corner = Corner::with(place, &["--mesos-executor", "executor.json"]);
    corner.submit_with_output();
    corner.master.send(&[FakeMaster::offer("o-1")]);
    let task = corner.launched("o-1");
    corner.tell(&task, "TASK_FINISHED", "AAAA");
    corner.wait_for("COMPLETED", 1, 1);
}
