//! Why jobs wait, what may run on a node, and what was decided, as clients read it.

use serde_json::{Value, json};
use weighbridge::{NodeId, NodeResources, Offer};

use super::{WAIT, busy, code};

#[test]
fn every_wait_is_explained() {
    let (daemon, small) = busy();
    let client = daemon.client;
    let job = client.post("/v6/jobs/", &json!({"job_type_id": small})).expect(201)["id"].clone();
    let big = client.post("/v6/jobs/", &json!({"job_type_id": 2})).expect(201)["id"].clone();
    let explain = |job: &Value| client.get(&format!("/api/v1/jobs/{job}/explain")).expect(200);
    assert_eq!(explain(&job)["blocker"], json!({"kind": "next"}));
    let why = explain(&big);
    assert_eq!((&why["blocker"]["kind"], &why["position"]), (&json!("too_big"), &json!(1)));
    assert_eq!(why["blocker"]["shortages"][0]["short"], 8_000.0);
    assert_eq!(why["blocker"]["shortages"][0]["nearest"], json!({"id": 1, "name": "alpha"}));
    let text = why["text"].as_str().expect("a text");
    assert!(text.starts_with("job 2 is QUEUED, number 2 of 2: can never be placed here: mem"), "{text}");
    client.post("/api/v1/job-types/small:1/pause", &json!(null)).expect(200);
    let text = explain(&job)["text"].as_str().expect("a text").to_owned();
    assert!(
        text.starts_with("job 1 is QUEUED, number 1 of 2: job type small:1 is paused since 20"),
        "{text}"
    );
    let waiting = client.get("/api/v1/waiting").expect(200);
    assert_eq!(waiting["waiting"][0]["job_type"]["name"], "small");
    assert_eq!(waiting["waiting"][1]["blocker"]["kind"], "too_big");
    client.post("/api/v1/jobs/cancel", &json!({"job_ids": [job]})).expect(200);
    assert_eq!(explain(&job)["text"], "job 1 does not wait: it is CANCELED");
    assert_eq!(code(&client.get("/api/v1/jobs/99/explain")), "no-such-job");
}

#[test]
fn a_node_explains_what_may_run_there_by_id_and_by_name() {
    let (daemon, small) = busy();
    let client = daemon.client;
    client.post("/v6/jobs/", &json!({"job_type_id": small})).expect(201);
    client.post("/v6/jobs/", &json!({"job_type_id": 2})).expect(201);
    let why = client.get("/api/v1/nodes/1/explain").expect(200);
    assert_eq!(why["text"], "node alpha (id 1): mem:1000 free of mem:1000, nothing runs");
    assert_eq!((&why["node"], &why["kept"]), (&json!({"id": 1, "name": "alpha"}), &json!(null)));
    assert_eq!(
        (&why["running"], &why["n_running"], &why["is_on_offer"]),
        (&json!([]), &json!(0), &json!(true))
    );
    let told =
        |at: usize| (why["lanes"][at]["job_type"]["name"].clone(), why["lanes"][at]["verdict"].clone());
    assert_eq!((told(0), &why["lanes"][0]["n_fit"]), ((json!("small"), json!("fits")), &json!(1)));
    assert_eq!(told(1), (json!("huge"), json!("too_big")));
    assert_eq!(why["lanes"][1]["text"], "too big for the node by 8000 mem");
    assert_eq!(why["lanes"][1]["short"], json!([{"resource": "mem", "asked": 9000.0, "short": 8000.0}]));
    assert_eq!(client.get("/api/v1/nodes/alpha/explain").expect(200)["lanes"], why["lanes"]);
    for nobody in ["2", "beta"] {
        let answer = client.get(&format!("/api/v1/nodes/{nobody}/explain"));
        assert_eq!((answer.status, code(&answer).as_str()), (404, "no-such-node"));
    }
}

#[test]
fn the_journal_is_read_from_its_end_and_gone_on_with() {
    let (daemon, small) = busy();
    let (client, engine) = (&daemon.client, &daemon.engine);
    client.post("/v6/jobs/", &json!({"job_type_id": small})).expect(201);
    let offer = Offer::new(NodeId(7), NodeResources::new().mem_mib(200)).named("beta");
    drop(engine.offer(&offer));
    engine.offer(&offer).commit().wait(WAIT).expect("durable");
    let newest = client.get("/api/v1/journal?limit=1").expect(200);
    let last = &newest["entries"][0];
    let told = json!({
        "number": last["number"], "when": last["when"], "kind": "launched", "exe": 1, "launch": 1, "job": 1,
        "job_type": {"id": small, "name": "small", "version": "1"}, "node": {"id": 7, "name": "beta"},
        "before": null, "now": null, "text": "execution 1 of job 1 (small:1) on beta",
    });
    assert_eq!((last, &newest["next"]), (&told, &last["number"]));
    let all = client.get("/api/v1/journal?after=0").expect(200);
    assert_eq!((&all["next"], &all["n_lost"]), (&newest["next"], &json!(0)));
    assert_eq!(all["entries"].as_array().expect("a list").last(), Some(last));
    let next = newest["next"].as_u64().expect("a number");
    let rest = client.get(&format!("/api/v1/journal?after={next}")).expect(200);
    assert_eq!((&rest["entries"], &rest["next"], &rest["n_lost"]), (&json!([]), &json!(next), &json!(0)));
    assert_eq!(code(&client.get("/api/v1/journal?after=x")), "invalid-parameter");
    client.post("/v6/jobs/", &json!({"job_type_id": small})).expect(201);
    for _ in 0..20_000 {
        drop(engine.offer(&offer));
    }
    let page = client.get(&format!("/api/v1/journal?after={next}&limit=1")).expect(200);
    let (first, newest) = (page["entries"][0]["number"].as_u64().expect("a number"), engine.journal_newest());
    assert_eq!((first, &page["n_lost"]), (newest - (1 << 14) + 1, &json!(first - next - 1)));
}
