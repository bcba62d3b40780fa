//! Job types from manifests, run on this machine: what their commands find in their environment, and what their
//! exit codes mean.

mod common;
#[path = "common/http.rs"]
#[expect(dead_code, reason = "shared with tests/api.rs")]
mod http;

use common::{Daemon, Place, until};
use http::Client;
use serde_json::{Value, json};

/// Ends well where `N` is 7, `word-of` has its name in the environment, `OPT` is not set, and the directory of
/// outputs is its own.
const COMMAND: &str =
    r#"test "${N}" = 7 && test "${WORD_OF}" = "a {b}" && test -z "${OPT+set}" && cd "${OUTPUT_DIR}""#;

fn manifest(name: &str, command: &str) -> Value {
    json!({
        "seedVersion": "1.0.0",
        "job": {
            "name": name, "jobVersion": "1.0.0", "packageVersion": "1.0.0", "title": "", "description": "",
            "maintainer": {"name": "A", "email": "a@example.com"}, "timeout": 60,
            "interface": {
                "command": command,
                "inputs": {"json": [
                    {"name": "N", "type": "integer"},
                    {"name": "word-of", "type": "string"},
                    {"name": "OPT", "type": "string", "required": false},
                ]},
            },
            "resources": {"scalar": [{"name": "cpus", "value": 0.1}, {"name": "mem", "value": 1}]},
            "errors": [{"code": 3, "name": "bad-data", "category": "data"}],
        },
    })
}

#[test]
fn a_command_finds_its_inputs_in_its_environment_and_exit_codes_mean_what_the_manifest_says() {
    let place = Place::new();
    let daemon = Daemon::start(&place, &["--store", "store", "--resources", "cpus:2,mem:1000,disk:1000"]);
    let address = daemon.url.trim_start_matches("http://").trim_end_matches('/');
    let client = Client(address.parse().expect("an address"));
    let run = |name: &str, command: &str| {
        let body = json!({"docker_image": "", "manifest": manifest(name, command)});
        let kind = client.post("/v6/job-types/", &body).expect(201)["id"].clone();
        let input = json!({"json": {"N": 7, "word-of": "a {b}"}});
        let job = client.post("/v6/jobs/", &json!({"job_type_id": kind, "input": input})).expect(201);
        let path = format!("/v6/jobs/{}/", job["id"]);
        let ended = || client.get(&path).expect(200)["ended"].is_string();
        until("the job ends", ended);
        client.get(&path).expect(200)
    };
    let good = run("good", COMMAND);
    assert_eq!(good["status"], "COMPLETED", "{good}");
    let bad = run("bad", "exit 3");
    assert_eq!((&bad["status"], &bad["num_exes"]), (&json!("FAILED"), &json!(1)), "not tried again");
    assert_eq!((&bad["error"]["name"], &bad["error"]["category"]), (&json!("bad-data"), &json!("DATA")));
    let status = client.get("/v6/status/").expect(200);
    assert_eq!(status["scheduler"]["state"]["name"], "READY");
    assert_eq!(status["nodes"].as_array().map(Vec::len), Some(1));
    let resources = client.get("/v6/scheduler/queued-resources/").expect(200);
    assert_eq!(resources["cluster_resources"]["cpus"], 2.0);
    assert_eq!(daemon.end().code(), Some(0));
}
