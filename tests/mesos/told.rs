//! What the daemon tells of a cluster, and what it asks of it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::common::until;
use crate::http::Client;
use crate::site::Site;

/// How the framework stands, as the status has it.
fn driver(site: &Site) -> Value {
    site.ask(&["status"])["driver"].clone()
}

fn client(site: &Site) -> Client {
    let url = &site.daemon.as_ref().expect("it runs").url;
    Client(url.trim_start_matches("http://").parse::<SocketAddr>().expect("an address"))
}

#[test]
fn how_it_stands_with_the_master_is_told() {
    let Some(site) = Site::new(&[], &[]) else { return };
    site.submit(3, "0.1");
    until("all jobs", || site.is_done());
    until("word of them", || driver(&site)["figures"]["tasks_launched"] == 3);
    let told = driver(&site);
    assert_eq!((&told["kind"], &told["is_ready"]), (&"mesos".into(), &true.into()), "{told:#}");
    let id = told["facts"]["framework_id"].as_str().expect("an id");
    assert!(told["text"].as_str().is_some_and(|text| text.contains(id)), "{told:#}");
    let figures = &told["figures"];
    assert!(figures["offer_to_accept"]["n"].as_u64() >= Some(1), "{figures:#}");
    let client = client(&site);
    let metrics = client.get("/metrics").body;
    for metric in ["weighbridge_mesos_tasks_launched_total 3", "weighbridge_mesos_offer_held_seconds_bucket"]
    {
        assert!(metrics.contains(metric), "{metric}: {metrics}");
    }
    assert_eq!(client.get("/readyz").status, 200);
    site.ctl(&["kill", "master-0"]);
    until("the loss", || client.get("/readyz").status == 503);
    assert_eq!(driver(&site)["is_ready"], false);
    site.ctl(&["start", "master-0"]);
    until("the master", || client.get("/readyz").status == 200);
}

#[test]
fn no_offers_are_wanted_while_all_that_waits_is_held() {
    let Some(site) = Site::new(&[], &[]) else { return };
    let is_suppressed = || driver(&site)["figures"]["suppressed"] == 1;
    let n_offers = || driver(&site)["figures"]["offers"].as_u64().expect("a number");
    until("nothing to do", || is_suppressed() && driver(&site)["figures"]["offers_held"] == 0);
    site.ask(&["pause", "nap"]);
    let before = n_offers();
    site.submit(2, "0.1");
    // It is held, so nothing is asked for: there is word of how it stands every second.
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!((n_offers(), is_suppressed()), (before, true));
    site.ask(&["resume", "nap"]);
    until("all jobs", || site.is_done());
    site.ask(&["limit", "nap", "1"]);
    site.submit(2, "3");
    until("one that runs beside one that is held", || site.n_tasks("TASK_RUNNING") == 1 && is_suppressed());
    let figures = driver(&site)["figures"].clone();
    assert_eq!(figures["offers_held"], 0, "others have them: {figures:#}");
    until("all jobs", || site.is_done());
}

#[test]
fn agents_tell_what_they_have_in_all() {
    let Some(site) = Site::new(&["--resources", "cpus:2;mem:1024;disk:4000"], &[]) else { return };
    // All is in use: no offer has it.
    site.ask(&["job-type", "create", "big", "--cpus", "2", "--mem", "32", "--", "sleep", "600"]);
    site.ask(&["submit", "big", "--count", "3"]);
    until("all of them", || site.n_tasks("TASK_RUNNING") == 3);
    let nodes = || site.ask(&["nodes"])["nodes"].as_array().cloned().unwrap_or_default();
    let is_known = |node: &Value| node["total"]["mem"] == 1024.0 && node["total"]["cpus"] == 2.0;
    until("what they have", || nodes().len() == 3 && nodes().iter().all(is_known));
    site.ask(&["job-type", "create", "huge", "--cpus", "2.5", "--mem", "32", "--", "true"]);
    let id = site.ask(&["submit", "huge"])["first_job"].to_string();
    let why = site.ask(&["explain", &id]);
    assert!(why["text"].as_str().is_some_and(|text| text.contains("never")), "{why:#}");
}

#[test]
fn a_task_that_does_not_end_when_asked_is_made_to() {
    let Some(site) = Site::new(&[], &["--mesos-kill-grace", "1s"]) else { return };
    let deaf = ["sh", "-c", "trap '' TERM; while true; do sleep 0.2; done"];
    site.ask(
        &[&["job-type", "create", "deaf", "--cpus", "0.5", "--mem", "32", "--"], deaf.as_slice()].concat(),
    );
    site.ask(&["submit", "deaf"]);
    until("it", || site.n_tasks("TASK_RUNNING") == 1);
    site.ask(&["cancel", "1"]);
    until("its end", || site.n_tasks("TASK_RUNNING") == 0 && site.n_tasks("TASK_KILLED") == 1);
    assert_eq!(site.ask(&["job", "1"])["status"], "CANCELED");
    let long = [
        &["job-type", "create", "long", "--cpus", "0.5", "--mem", "32"],
        &["--timeout", "1s"][..],
        &["--max-tries", "1", "--"],
        &deaf,
    ];
    site.ask(&long.concat());
    site.ask(&["submit", "long"]);
    until("its end", || site.is_done());
    assert_eq!(site.ask(&["job", "2"])["end"]["code"], "timeout");
}
