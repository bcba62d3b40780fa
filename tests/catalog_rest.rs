//! The catalog over REST, where the recording shows nothing: revisions, what is refused and how, filters, edits
//! that act on what is queued, and what the scheduler says of itself.

#![cfg(feature = "server")]

#[path = "common/http.rs"]
mod http;

use std::net::Ipv4Addr;
use std::time::Duration;

use http::{Answer, Client};
use serde_json::{Value, json};
use weighbridge::{
    ApiState, Dataset, Engine, FileRecord, JobId, JobRequest, JobTypeId, NodeId, NodeResources, Offer,
    Options, Server, Service, Submission, SubmissionId,
};

const WAIT: Duration = Duration::from_secs(30);

/// A server over an engine that runs nothing.
struct Daemon {
    engine: Engine,
    client: Client,
    _server: Server,
    _service: Service,
}

impl Daemon {
    fn new() -> Self {
        let engine = Engine::in_memory(Options::default());
        let service = Service::start_without_driver(engine.clone()).expect("a thread");
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        let server = Server::bind(listen, ApiState::new(engine.clone())).expect("a free port");
        Self { engine, client: Client(server.local_addr()), _server: server, _service: service }
    }

    fn patch(&self, path: &str, body: &Value) -> Answer {
        self.client.json("PATCH", path, body)
    }

    /// Makes a job type and gives its id.
    fn put(&self, name: &str) -> JobTypeId {
        let made = self.client.post("/v6/job-types/", &body(manifest(name))).expect(201);
        JobTypeId(made["id"].as_u64().and_then(|id| id.try_into().ok()).expect("an id"))
    }

    fn detail(&self, name: &str) -> Value {
        self.client.get(&format!("/v6/job-types/{name}/1.0.0/")).expect(200)
    }

    /// Queues a job of a type through the library.
    fn queue(&self, job_type: JobTypeId, id: &str) -> JobId {
        let submission =
            Submission::new(SubmissionId::new(id).expect("an id")).jobs(JobRequest::new(job_type));
        let accepted = self.engine.submit(submission).expect("room").wait_durable(WAIT).expect("accepted");
        accepted.first_job
    }

    /// What a large node would get at this moment; it is put back.
    fn picked(&self) -> Vec<JobId> {
        let free: NodeResources = "cpus:100,mem:100000,disk:100000".parse().expect("resources");
        let picks = self.engine.offer(&Offer::new(NodeId(1), free));
        picks.iter().map(|pick| pick.job).collect()
    }
}

fn manifest(name: &str) -> Value {
    json!({
        "seedVersion": "1.0.0",
        "job": {
            "name": name, "jobVersion": "1.0.0", "packageVersion": "1.0.0", "title": name.to_uppercase(),
            "description": "one of a test", "maintainer": {"name": "A", "email": "a@example.com"}, "timeout": 60,
            "tags": ["of-a-test"],
            "interface": {
                "command": "run.sh ${N}",
                "inputs": {"json": [{"name": "N", "type": "integer", "required": false}]},
                "outputs": {"json": [{"name": "N", "type": "integer"}]},
            },
        },
    })
}

#[expect(clippy::needless_pass_by_value, reason = "documents are made where they are used")]
fn body(manifest: Value) -> Value {
    json!({"docker_image": "image:1", "manifest": manifest})
}

/// A definition with one job node, and with a node of a recipe type where one is named.
fn definition(job_type: &str, sub: Option<(&str, u32)>) -> Value {
    let mut definition = json!({
        "input": {"json": [{"name": "N", "type": "integer"}]},
        "nodes": {"a": {
            "dependencies": [],
            "input": {"N": {"type": "recipe", "input": "N"}},
            "node_type": {
                "node_type": "job", "job_type_name": job_type, "job_type_version": "1.0.0", "job_type_revision": 1,
            },
        }},
    });
    if let Some((name, revision)) = sub {
        definition["nodes"]["b"] = json!({
            "dependencies": [],
            "input": {"N": {"type": "recipe", "input": "N"}},
            "node_type": {"node_type": "recipe", "recipe_type_name": name, "recipe_type_revision": revision},
        });
    }
    definition
}

#[expect(clippy::needless_pass_by_value, reason = "documents are made where they are used")]
fn recipe_type(title: &str, definition: Value) -> Value {
    json!({"title": title, "definition": definition})
}

fn detail_of(answer: &Answer) -> String {
    let said = answer.expect(400);
    said.as_str().or_else(|| said["detail"].as_str()).expect("words").to_owned()
}

fn names(list: &Value) -> Vec<&str> {
    list["results"].as_array().expect("a list").iter().filter_map(|row| row["name"].as_str()).collect()
}

#[test]
fn a_second_manifest_makes_a_revision_and_other_changes_make_none() {
    let daemon = Daemon::new();
    daemon.put("step");
    let valid = json!({"is_valid": true, "errors": [], "warnings": []});
    let mut second = manifest("step");
    second["job"]["title"] = "Second".into();
    let again = json!({"docker_image": "image:2", "manifest": second, "is_paused": true, "max_scheduled": 4});
    assert_eq!(daemon.client.post("/v6/job-types/", &again).expect(200), valid);
    let shown = daemon.detail("step");
    assert_eq!((&shown["revision_num"], &shown["title"]), (&json!(2), &json!("Second")));
    assert_eq!((&shown["docker_image"], &shown["max_scheduled"]), (&json!("image:2"), &json!(4)));
    assert_eq!(shown["is_paused"], true);
    let path = "/v6/job-types/step/1.0.0/";
    let change = json!({"docker_image": "image:3", "configuration": {"priority": 3}, "icon_code": "f00d"});
    assert_eq!(daemon.patch(path, &change).expect(200), valid);
    let shown = daemon.detail("step");
    assert_eq!((&shown["revision_num"], &shown["docker_image"]), (&json!(2), &json!("image:3")));
    assert_eq!((&shown["configuration"]["priority"], &shown["icon_code"]), (&json!(3), &json!("f00d")));
    let revisions = daemon.client.get(&format!("{path}revisions/")).expect(200);
    let numbers: Vec<&Value> =
        revisions["results"].as_array().expect("a list").iter().map(|row| &row["revision_num"]).collect();
    assert_eq!(numbers, [2, 1]);
    assert_eq!(revisions["results"][1]["docker_image"], "image:1");
    assert_eq!(revisions["results"][1].get("manifest"), None);
    let first = daemon.client.get(&format!("{path}revisions/1/")).expect(200);
    assert_eq!(first["manifest"]["job"]["title"], "STEP");
    assert_eq!(daemon.client.get(&format!("{path}revisions/3/")).status, 404);
    assert_eq!(daemon.client.get("/v6/job-types/other/1.0.0/revisions/").status, 404);
    // What was set can be taken back.
    daemon.patch(path, &json!({"max_scheduled": 0, "icon_code": "", "is_published": true})).expect(200);
    daemon.patch(path, &json!({"is_published": false})).expect(200);
    let shown = daemon.detail("step");
    assert_eq!((&shown["max_scheduled"], &shown["icon_code"]), (&Value::Null, &Value::Null));
    assert_eq!(shown["is_published"], false);
}

#[test]
fn bad_job_types_are_refused_in_words_that_clients_know_and_leave_nothing() {
    let daemon = Daemon::new();
    let check = |body: Value, text: &str| {
        let said = detail_of(&daemon.client.post("/v6/job-types/", &body));
        assert!(said.starts_with(text), "{body}: {said}");
    };
    check(json!({}), "Missing required parameter: \"docker_image\"");
    check(json!({"docker_image": "x"}), "Missing required parameter: \"manifest\"");
    check(
        json!({"docker_image": "x", "manifest": []}),
        "Parameter must be a valid JSON object: \"manifest\"",
    );
    check(
        json!({"docker_image": "x", "manifest": {}}),
        "Seed Manifest invalid: Error validating against schema: ",
    );
    let with = |name: &str, value: Value| {
        let mut body = body(manifest("step"));
        body[name] = value;
        body
    };
    check(
        with("foo", json!(1)),
        "foo is not a valid field. Valid fields are: set([u'is_paused', u'max_scheduled', u'icon_code', \
         u'auto_update', u'is_active', u'manifest', u'configuration', u'docker_image', u'is_published'])",
    );
    check(json!([]), "Missing required parameter: \"docker_image\"");
    check(with("max_scheduled", json!("x")), "Parameter must be a valid integer: \"max_scheduled\"");
    check(with("max_scheduled", json!(-1)), "Parameter must be a valid integer: \"max_scheduled\"");
    check(with("is_paused", json!("x")), "Parameter must be a valid boolean: \"is_paused\"");
    check(
        with("configuration", json!({"priority": 0})),
        "Job type configuration invalid: Invalid configuration: 0 is",
    );
    check(
        with("configuration", json!({"output_workspaces": {"default": "w"}})),
        "Job type configuration invalid: No workspace named 'w'",
    );
    check(body(manifest("validation")), "Unable to create job type named \"validation\"");
    let mut files = manifest("step");
    files["job"]["interface"]["outputs"] = json!({"files": [{"name": "O", "pattern": "*"}]});
    check(body(files.clone()), "Job type configuration invalid: Missing workspace for outputs '[u'O']'");
    let manifest_with = |pointer: &str, member: &str, twice: Value| {
        let mut manifest = manifest("step");
        manifest.pointer_mut(pointer).expect(pointer)[member] = json!([twice, twice]);
        body(manifest)
    };
    let mount = json!({"name": "M", "path": "/m"});
    check(
        manifest_with("/job/interface", "mounts", mount),
        "Seed Manifest invalid: Mount names must be unique.",
    );
    let error = json!({"code": 1, "name": "e", "category": "job"});
    check(manifest_with("/job", "errors", error), "Seed Manifest invalid: Error names must be unique.");
    let collision = "Seed Manifest invalid: Collisions are not allowed between reserved keywords, resources, \
                     settingsand input names.";
    check(manifest_with("/job/interface", "settings", json!({"name": "S"})), collision);
    let mut early = manifest("step");
    early["job"]["jobVersion"] = "1.0.0-rc".into();
    check(body(early), "Seed Manifest invalid: Version '1.0.0-rc' is a pre-release");
    assert_eq!(daemon.client.get("/v6/job-types/").expect(200)["count"], 0);
    daemon.put("step");
    let patch = |body: Value| detail_of(&daemon.patch("/v6/job-types/step/1.0.0/", &body));
    assert!(patch(json!({"name": "x"})).starts_with("name is not a valid field."));
    let other = patch(json!({"manifest": manifest("other")}));
    assert_eq!(other, "Manifest name other does not match current Job Type name step.");
    assert_eq!(patch(json!({"manifest": files})), "Missing workspace for outputs '[u'O']'");
    for priority in [0, -3] {
        let said =
            daemon.patch("/v6/job-types/step/1.0.0/", &json!({"configuration": {"priority": priority}}));
        assert_eq!(said.expect(400), json!({"detail": "Priority must be a positive integer"}));
    }
    let unknown = daemon.patch("/v6/job-types/step/1.0.0/", &json!({"configuration": {"foo": 0}}));
    assert_eq!(unknown.expect(200)["is_valid"], true, "what a change does not know it leaves out");
    assert_eq!(daemon.detail("step")["configuration"]["priority"], 100);
    assert_eq!(daemon.patch("/v6/job-types/nope/1.0.0/", &json!({"is_paused": true})).status, 404);
    assert_eq!(daemon.detail("step")["revision_num"], 1);
    let validation = |manifest: &Value| {
        let body = json!({"manifest": manifest, "configuration": {"settings": {"x": "y"}}});
        daemon.client.post("/v6/job-types/validation/", &body).expect(200)
    };
    let good = validation(&manifest("step"));
    assert_eq!((&good["is_valid"], &good["warnings"][0]["name"]), (&json!(true), &json!("UNKNOWN_SETTING")));
    let bad = validation(&json!({}));
    assert_eq!(
        (&bad["is_valid"], &bad["errors"][0]["name"]),
        (&json!(false), &json!("JSON_VALIDATION_ERROR"))
    );
}

#[test]
fn lists_of_job_types_are_filtered_and_versions_stand_together() {
    let daemon = Daemon::new();
    daemon.put("beta");
    daemon.put("Alpha");
    let mut newer = manifest("beta");
    newer["job"]["jobVersion"] = "1.1.0".into();
    daemon.client.post("/v6/job-types/", &body(newer)).expect(201);
    daemon.patch("/v6/job-types/Alpha/1.0.0/", &json!({"is_active": false})).expect(200);
    assert!(daemon.detail("Alpha")["deprecated"].is_string());
    let list = |query: &str| daemon.client.get(&format!("/v6/job-types/{query}")).expect(200);
    assert_eq!(names(&list("")), ["Alpha", "beta", "beta"]);
    assert_eq!(names(&list("?is_active=true")), ["beta", "beta"]);
    assert_eq!(names(&list("?is_active=f")), ["Alpha"]);
    assert_eq!(names(&list("?keyword=LPH")), ["Alpha"]);
    assert_eq!(names(&list("?keyword=of-a-TEST")).len(), 3);
    assert_eq!(names(&list("?keyword=none&keyword=bet")), ["beta", "beta"]);
    assert_eq!(names(&list("?id=2")), ["Alpha"]);
    assert_eq!(names(&list("?is_system=true")), [""; 0]);
    assert_eq!(
        detail_of(&daemon.client.get("/v6/job-types/?id=x")),
        "Parameter must be a valid integer: \"id\""
    );
    let versions = list("beta/");
    let versions: Vec<&Value> =
        versions["results"].as_array().expect("a list").iter().map(|row| &row["version"]).collect();
    assert_eq!(versions, ["1.1.0", "1.0.0"]);
    assert_eq!(list("none/")["count"], 0);
    let by_name = daemon.client.get("/v6/job-type-names/").expect(200);
    assert_eq!(names(&by_name), ["Alpha", "beta"]);
    assert_eq!(by_name["results"][1]["latest_version"], "1.1.0");
    assert_eq!(by_name["results"][1]["versions"], json!(["1.0.0", "1.1.0"]));
}

#[test]
fn edits_act_at_once_on_what_is_queued() {
    let daemon = Daemon::new();
    let (step, other) = (daemon.put("step"), daemon.put("other"));
    let path = "/v6/job-types/step/1.0.0/";
    let jobs = [daemon.queue(step, "1"), daemon.queue(step, "2")];
    let third = daemon.queue(other, "3");
    assert_eq!(daemon.picked(), [jobs[0], jobs[1], third]);
    daemon.patch(path, &json!({"is_paused": true})).expect(200);
    assert_eq!(daemon.picked(), [third], "a paused type holds");
    daemon.patch(path, &json!({"is_paused": false, "max_scheduled": 1})).expect(200);
    assert_eq!(daemon.picked(), [jobs[0], third]);
    daemon.patch(path, &json!({"max_scheduled": 0, "is_active": false})).expect(200);
    assert_eq!(daemon.picked(), [jobs[0], jobs[1], third], "what is queued goes on");
    let refused = daemon.client.post("/v6/jobs/", &json!({"job_type_id": step, "input": {"json": {"N": 1}}}));
    assert_eq!(refused.status, 400, "{}", refused.body);
    daemon.patch(path, &json!({"is_active": true})).expect(200);
    let change = json!({"queue_mode": "lifo"});
    assert_eq!(daemon.patch("/v6/scheduler/", &change).status, 204);
    assert_eq!(daemon.client.get("/v6/scheduler/").expect(200)["queue_mode"], "LIFO");
    assert_eq!(daemon.picked(), [third, jobs[1], jobs[0]]);
    assert_eq!(daemon.patch("/v6/scheduler/", &json!({"is_paused": true})).status, 204);
    assert_eq!(daemon.picked(), [], "nothing is launched while the scheduler is paused");
    assert_eq!(daemon.patch("/v6/scheduler/", &json!({"is_paused": false})).status, 204);
    let node = daemon.engine.put_node("one").expect("room").wait_durable(WAIT).expect("a node");
    assert_eq!(node, NodeId(1));
    assert_eq!(daemon.patch("/v6/nodes/1/", &json!({"is_paused": true})).status, 204);
    assert_eq!(daemon.picked(), [], "nothing is launched on a paused node");
    assert_eq!(daemon.patch("/v6/nodes/1/", &json!({"is_paused": false, "is_active": false})).status, 204);
    assert_eq!(daemon.picked(), []);
}

#[test]
fn recipe_types_have_revisions_that_follow_those_of_what_they_hold() {
    let daemon = Daemon::new();
    daemon.put("step");
    let post = |body: &Value| daemon.client.post("/v6/recipe-types/", body);
    post(&recipe_type("Inner one", definition("step", None))).expect(201);
    let made = post(&recipe_type("Outer", definition("step", Some(("inner-one", 1)))));
    let outer = made.expect(201);
    assert!(made.header("location").is_some_and(|at| at.ends_with("/v6/recipe-types/outer/")));
    assert_eq!(outer["sub_recipe_types"][0]["name"], "inner-one");
    let detail = |name: &str| daemon.client.get(&format!("/v6/recipe-types/{name}/")).expect(200);
    assert_eq!(detail("inner-one")["super_recipe_types"][0]["name"], "outer");
    assert_eq!(daemon.detail("step")["recipe_types"].as_array().map(Vec::len), Some(2));
    daemon.patch("/v6/job-types/step/1.0.0/", &json!({"manifest": manifest("step")})).expect(200);
    let inner = detail("inner-one");
    assert_eq!(inner["revision_num"], 2);
    assert_eq!(inner["definition"]["nodes"]["a"]["node_type"]["job_type_revision"], 2);
    let outer = detail("outer");
    assert_eq!(outer["definition"]["nodes"]["a"]["node_type"]["job_type_revision"], 2);
    assert_eq!(outer["definition"]["nodes"]["b"]["node_type"]["recipe_type_revision"], 2);
    let revisions = daemon.client.get("/v6/recipe-types/outer/revisions/").expect(200);
    assert_eq!(revisions["results"][0]["revision_num"], outer["revision_num"]);
    assert_eq!(revisions["results"][0]["recipe_type"]["name"], "outer");
    let first = daemon.client.get("/v6/recipe-types/outer/revisions/1/").expect(200);
    assert_eq!(first["definition"]["nodes"]["b"]["node_type"]["recipe_type_revision"], 1);
    assert_eq!(daemon.client.get("/v6/recipe-types/outer/revisions/99/").status, 404);
    let off = daemon.patch("/v6/job-types/step/1.0.0/", &json!({"is_active": false})).expect(200);
    assert_eq!(off["warnings"][0]["name"], "DEPRECATED_RECIPES");
    assert_eq!(
        (&detail("inner-one")["is_active"], &detail("outer")["is_active"]),
        (&json!(false), &json!(false))
    );
    let listed = daemon.client.get("/v6/recipe-types/?is_active=false&keyword=OUT").expect(200);
    assert_eq!(names(&listed), ["outer"]);
    assert_eq!(listed["results"][0]["sub_recipe_types"], json!(["inner-one"]));
}

#[test]
fn bad_recipe_types_are_refused_in_words_that_clients_know() {
    let daemon = Daemon::new();
    daemon.put("step");
    let check = |body: Value, text: &str| {
        let said = detail_of(&daemon.client.post("/v6/recipe-types/", &body));
        assert!(said.starts_with(text), "{body}: {said}");
    };
    check(json!({}), "Missing required parameter: \"title\"");
    check(json!({"title": "a"}), "Missing required parameter: \"definition\"");
    check(
        recipe_type("validation", definition("step", None)),
        "Unable to create recipe type named \"validation\"",
    );
    check(
        recipe_type("a", definition("nope", None)),
        "Recipe definition contains a job type that does not exist: JobType matching query does not exist.",
    );
    let mut late = definition("step", None);
    late["nodes"]["a"]["node_type"]["job_type_revision"] = 7.into();
    let text = "Recipe definition contains a job type that does not exist: JobTypeRevision matching query";
    check(recipe_type("a", late), text);
    check(json!([]), "Missing required parameter: \"title\"");
    check(json!("title"), "Missing required parameter: \"title\"");
    let bare = json!({"input": {}, "nodes": {"a": {}}});
    check(recipe_type("a", bare), "Issue with nodes: 'dependencies' is a required property");
    let mut odd = definition("step", None);
    odd["nodes"]["a"]["x"] = json!(1);
    let text = "Issue with nodes: Additional properties are not allowed ('x' was unexpected)";
    check(recipe_type("a", odd), text);
    let mut circle = definition("step", None);
    circle["nodes"]["a"]["dependencies"] = json!([{"name": "a"}]);
    check(recipe_type("a", circle), "Recipe node 'a' has a circular dependency on itself");
    let mut unknown = definition("step", None);
    unknown["nodes"]["a"]["dependencies"] = json!([{"name": "z"}]);
    check(recipe_type("a", unknown), "Node 'z' is not defined");
    daemon.client.post("/v6/recipe-types/", &recipe_type("a", definition("step", None))).expect(201);
    check(
        recipe_type("A", definition("step", None)),
        "Existing recipe types found for a - will not re-create.",
    );
    let own = json!({"definition": definition("step", Some(("a", 1)))});
    let said = detail_of(&daemon.patch("/v6/recipe-types/a/", &own));
    assert_eq!(said, "Recipe type a contains sub-recipes of itself. Found within recipe type a.");
    assert_eq!(daemon.patch("/v6/recipe-types/nope/", &json!({"title": "x"})).status, 404);
    let plain = daemon.patch("/v6/recipe-types/a/", &json!({"title": "B", "description": "c"})).expect(200);
    assert_eq!(plain, json!({"is_valid": true, "errors": [], "warnings": [], "diff": {}}));
    let shown = daemon.client.get("/v6/recipe-types/a/").expect(200);
    assert_eq!((&shown["title"], &shown["revision_num"]), (&json!("B"), &json!(1)));
    let validation = |definition: Value| {
        daemon.client.post("/v6/recipe-types/validation/", &json!({"definition": definition})).expect(200)
    };
    assert_eq!(validation(definition("step", None))["is_valid"], true);
    let bad = validation(definition("nope", None));
    assert_eq!(
        (&bad["is_valid"], &bad["errors"][0]["name"]),
        (&json!(false), &json!("JOB_TYPE_DOES_NOT_EXIST"))
    );
}

#[test]
fn a_definition_is_compared_with_what_its_name_has() {
    let daemon = Daemon::new();
    daemon.put("step");
    daemon.put("other");
    daemon.client.post("/v6/recipe-types/", &recipe_type("a", definition("step", None))).expect(201);
    let compared = |definition: Value| {
        let body = json!({"name": "a", "definition": definition});
        daemon.client.post("/v6/recipe-types/validation/", &body).expect(200)
    };
    let same = compared(definition("step", None));
    assert_eq!((&same["is_valid"], &same["warnings"]), (&json!(true), &json!([])));
    let of = |kind: &str| json!({"node_type": "job", "job_type_name": kind, "job_type_version": "1.0.0", "job_type_revision": 1});
    let a = json!({
        "status": "UNCHANGED", "changes": [], "reprocess_new_node": false, "force_reprocess": false,
        "dependencies": [], "node_type": of("step"),
    });
    assert_eq!(same["diff"], json!({"can_be_reprocessed": true, "reasons": [], "nodes": {"a": a}}));
    let other = compared(definition("other", None));
    let mut kind = of("other");
    kind["prev_job_type_name"] = "step".into();
    let text = "Job type changed from step to other";
    let a = json!({
        "status": "CHANGED", "changes": [{"name": "JOB_TYPE_CHANGE", "description": text}],
        "reprocess_new_node": true, "force_reprocess": false, "dependencies": [], "node_type": kind,
    });
    assert_eq!(other["diff"]["nodes"], json!({"a": a}));
    let mut input = definition("step", None);
    input["input"]["json"].as_array_mut().expect("a list").push(json!({"name": "X", "type": "string"}));
    let input = compared(input);
    assert_eq!(input["diff"]["can_be_reprocessed"], false);
    let text = "Input interface has changed: Parameter 'X' is required";
    assert_eq!(input["diff"]["reasons"], json!([{"name": "INPUT_CHANGE", "description": text}]));
    assert_eq!(input["warnings"][0]["name"], "REPROCESS_WARNING");
    let gone = compared(json!({}));
    assert_eq!(gone["diff"]["nodes"]["a"]["status"], "DELETED");
}

#[test]
fn recipes_are_refused_in_words_that_clients_know() {
    let daemon = Daemon::new();
    daemon.put("step");
    let made = daemon.client.post("/v6/recipe-types/", &recipe_type("in", definition("step", None)));
    let inner = made.expect(201)["id"].clone();
    let made =
        daemon.client.post("/v6/recipe-types/", &recipe_type("out", definition("step", Some(("in", 1)))));
    let outer = made.expect(201)["id"].clone();
    let input = json!({"json": {"N": 1}});
    let post = |path: &str, body: Value| daemon.client.post(path, &body);
    // Parameters of the address are members too, and come first.
    let path = format!("/v6/recipes/?recipe_type_id={outer}");
    let recipe = post(&path, json!({"recipe_type_id": inner, "input": input})).expect(201);
    assert_eq!(recipe["recipe_type"]["id"], outer);
    let version = json!({"recipe_type_id": inner, "input": input, "configuration": {"version": "2.0"}});
    let said = detail_of(&post("/v6/recipes/", version));
    assert_eq!(said, "Recipe configuration invalid: 2.0 is an unsupported version number");
    let batch = |definition: Value, configuration: Value| {
        let body = json!({"recipe_type_id": inner, "definition": definition, "configuration": configuration});
        detail_of(&post("/v6/batches/", body))
    };
    assert_eq!(batch(json!({"version": "5"}), json!({})), "5 is an unsupported version number");
    assert_eq!(batch(json!({}), json!({"version": "5"})), "5 is an unsupported version number");
    assert!(batch(json!({"foo": 1}), json!({})).starts_with("Invalid batch definition: "));
    assert!(batch(json!({}), json!({"foo": 1})).starts_with("Invalid batch configuration: "));
    let path = format!("/v6/recipes/{}/reprocess/", recipe["id"]);
    let reprocess = |body: Value| post(&path, body);
    let forced = |forced: Value| detail_of(&reprocess(json!({"forced_nodes": forced})));
    let unknown = "Unable to reprocess recipe. Errors in validating forced_nodes: \
                   [u'Recipe definition does not have a top level node with name: z']";
    assert_eq!(forced(json!({"all": false, "nodes": ["z"]})), unknown);
    let within = json!({"b": {"all": false, "nodes": ["z"]}});
    assert_eq!(forced(json!({"all": false, "sub_recipes": within})), unknown);
    let text = forced(json!({"all": false, "sub_recipes": {"a": {"all": true}}}));
    assert!(text.ends_with("[u'Sub-recipe node a is not a recipe node']"), "{text}");
    assert_eq!(detail_of(&reprocess(json!([]))), "Missing required parameter: \"forced_nodes\"");
    let late = json!({"forced_nodes": {"all": true}, "revision_num": 9});
    assert_eq!(reprocess(late.clone()).status, 404);
    assert_eq!(reprocess(json!({"forced_nodes": {"all": true}})).status, 202);
    assert_eq!(forced(json!({"all": true})), "Cannot reprocess a superseded recipe");
    assert_eq!(reprocess(late).status, 404, "the revision is looked for first");
}

#[test]
fn a_recipe_shows_the_types_that_its_type_holds_now() {
    let daemon = Daemon::new();
    daemon.put("step");
    daemon.put("other");
    let made = daemon.client.post("/v6/recipe-types/", &recipe_type("a", definition("step", None)));
    let body = json!({"recipe_type_id": made.expect(201)["id"], "input": {"json": {"N": 1}}});
    let recipe = daemon.client.post("/v6/recipes/", &body).expect(201);
    daemon.patch("/v6/recipe-types/a/", &json!({"definition": definition("other", None)})).expect(200);
    let shown = daemon.client.get(&format!("/v6/recipes/{}/", recipe["id"])).expect(200);
    assert_eq!(shown["job_types"][0]["name"], "other");
    assert_eq!(shown["details"]["nodes"]["a"]["node_type"]["job_type_name"], "step");
    assert_eq!(shown["recipe_type_rev"]["revision_num"], 1);
}

#[test]
fn what_is_in_a_recipe_is_as_young_as_the_recipe() {
    let daemon = Daemon::new();
    daemon.put("step");
    let made = daemon.client.post("/v6/recipe-types/", &recipe_type("in", definition("step", None)));
    made.expect(201);
    let made =
        daemon.client.post("/v6/recipe-types/", &recipe_type("out", definition("step", Some(("in", 1)))));
    let outer = made.expect(201)["id"].clone();
    std::thread::sleep(Duration::from_millis(5));
    let body = json!({"recipe_type_id": outer, "input": {"json": {"N": 1}}});
    let recipe = daemon.client.post("/v6/recipes/", &body).expect(201);
    let when = recipe["created"].as_str().expect("a time").to_owned();
    for list in ["/v6/recipes/", "/v6/jobs/"] {
        for row in daemon.client.get(list).expect(200)["results"].as_array().expect("a list") {
            assert!(row["created"].as_str() >= Some(when.as_str()), "{list}: {row}");
        }
    }
}

/// Waits until an instant tells itself from those before.
fn tick() {
    std::thread::sleep(Duration::from_millis(3));
}

#[test]
fn any_change_of_a_job_type_is_one_of_its_record_and_none_of_a_node() {
    let daemon = Daemon::new();
    daemon.put("step");
    let modified = || daemon.detail("step")["last_modified"].as_str().expect("a time").to_owned();
    let mut last = modified();
    for change in [json!({}), json!({"icon_code": "f"}), json!({"docker_image": "image:2"}), json!({})] {
        tick();
        daemon.patch("/v6/job-types/step/1.0.0/", &change).expect(200);
        assert!(modified() > last, "{change}");
        last = modified();
    }
    let node = daemon.engine.put_node("node-1").expect("room").wait_durable(WAIT).expect("a node");
    let path = format!("/v6/nodes/{}/", node.0);
    tick();
    daemon.engine.fresh_view(WAIT);
    let paused = daemon.patch(&path, &json!({"is_paused": true, "pause_reason": "x"}));
    assert_eq!(paused.status, 204, "{}", paused.body);
    let shown = daemon.client.get(&path).expect(200);
    assert_eq!((&shown["is_paused"], &shown["last_modified"]), (&json!(true), &shown["created"]));
}

#[test]
fn recipes_are_modified_with_every_job_in_them() {
    let daemon = Daemon::new();
    daemon.put("step");
    let made = daemon.client.post("/v6/recipe-types/", &recipe_type("in", definition("step", None)));
    let inner = made.expect(201)["id"].clone();
    let made =
        daemon.client.post("/v6/recipe-types/", &recipe_type("out", definition("step", Some(("in", 1)))));
    let outer = made.expect(201)["id"].clone();
    let recipe = |kind: &Value| {
        tick();
        let body = json!({"recipe_type_id": kind, "input": {"json": {"N": 1}}});
        let made = daemon.client.post("/v6/recipes/", &body).expect(201);
        assert_eq!(made["last_modified"], made["created"]);
        made["id"].as_u64().expect("an id")
    };
    let (first, second) = (recipe(&outer), recipe(&inner));
    let ids = |query: &str| {
        let page = daemon.client.get(&format!("/v6/recipes/?{query}")).expect(200);
        page["results"].as_array().expect("a list").iter().map(|row| row["id"].as_u64()).collect::<Vec<_>>()
    };
    let within = second - 1;
    let all = [first, within, second];
    assert_eq!(ids(""), all.map(Some));
    let jobs = daemon.client.get(&format!("/v6/jobs/?recipe_id={within}")).expect(200);
    tick();
    let body = json!({"job_ids": [jobs["results"][0]["id"]]});
    assert_eq!(daemon.client.post("/v6/jobs/cancel/", &body).status, 202);
    assert_eq!(
        ids(""),
        [second, first, within].map(Some),
        "a job within a recipe is one of the outer one too"
    );
    let since = daemon.client.get(&format!("/v6/recipes/{first}/")).expect(200)["last_modified"].clone();
    assert_eq!(ids(&format!("started={}", since.as_str().expect("a time"))), [first, within].map(Some));
    assert_eq!(ids("order=-jobs_total&order=id"), all.map(Some));
    assert_eq!(ids("order=-root_recipe&order=-id"), [second, within, first].map(Some));
    assert_eq!(ids("order=is_completed&order=is_superseded&order=id"), all.map(Some));
    let again = json!({"forced_nodes": {"all": true}, "revision_num": 0});
    assert_eq!(daemon.client.post(&format!("/v6/recipes/{second}/reprocess/"), &again).status, 202);
    assert_eq!(ids("order=-is_superseded&order=id")[0], Some(second));
}

#[test]
fn batches_are_ordered_by_their_words_and_by_how_far_they_are() {
    let daemon = Daemon::new();
    let mut reader = manifest("reader");
    reader["job"]["interface"]["inputs"] = json!({"files": [{"name": "IN"}]});
    daemon.client.post("/v6/job-types/", &body(reader)).expect(201);
    let mut files = definition("reader", None);
    files["input"] = json!({"files": [{"name": "F"}]});
    files["nodes"]["a"]["input"] = json!({"IN": {"type": "recipe", "input": "F"}});
    let kind = daemon.client.post("/v6/recipe-types/", &recipe_type("files", files)).expect(201);
    let file = || {
        let file = FileRecord::new("a.txt", "text/plain", 1);
        daemon.engine.put_file(file).expect("room").wait_durable(WAIT).expect("a file")
    };
    let make = |title: Option<&str>, n_files: usize| {
        let members = (0..n_files).map(|_| file()).collect::<Vec<_>>();
        let set = Dataset::new("set", "F", members);
        let set = daemon.engine.put_dataset(set).expect("room").wait_durable(WAIT).expect("a set");
        let body = json!({"recipe_type_id": kind["id"], "title": title, "definition": {"dataset": set}});
        tick();
        let made = daemon.client.post("/v6/batches/", &body).expect(201);
        let path = format!("/v6/batches/{}/", made["id"]);
        while daemon.client.get(&path).expect(200)["is_creation_done"] != true {
            std::thread::sleep(Duration::from_millis(2));
        }
        made["id"].as_u64().expect("an id")
    };
    let (b, none, a) = (make(Some("beta"), 3), make(None, 1), make(Some("Alpha"), 2));
    let ids = |query: &str| {
        let page = daemon.client.get(&format!("/v6/batches/?{query}")).expect(200);
        page["results"].as_array().expect("a list").iter().map(|row| row["id"].as_u64()).collect::<Vec<_>>()
    };
    assert_eq!(ids("order=title"), [a, b, none].map(Some), "case does not matter, and none comes last");
    assert_eq!(ids("order=jobs_total"), [none, a, b].map(Some));
    assert_eq!(ids("order=-recipes_total"), [b, a, none].map(Some));
    assert_eq!(ids("order=-jobs_queued"), [b, a, none].map(Some));
    assert_eq!(ids(""), [b, none, a].map(Some));
    let jobs = daemon.client.get(&format!("/v6/jobs/?batch_id={b}")).expect(200);
    tick();
    let canceled = json!({"job_ids": [jobs["results"][0]["id"]]});
    assert_eq!(daemon.client.post("/v6/jobs/cancel/", &canceled).status, 202);
    assert_eq!(ids(""), [none, a, b].map(Some), "it changed last");
    let since = daemon.client.get(&format!("/v6/batches/{b}/")).expect(200)["last_modified"].clone();
    assert_eq!(ids(&format!("started={}", since.as_str().expect("a time"))), [Some(b)]);
    let orders = ["batch", "-batch_id"].map(|order| {
        let page = daemon.client.get(&format!("/v6/jobs/?order={order}")).expect(200);
        page["results"][0]["batch"]["id"].as_u64()
    });
    assert_eq!(orders, [Some(b), Some(a)]);
}

#[test]
fn a_job_that_waits_since_it_was_made_never_changed_its_status() {
    let daemon = Daemon::new();
    daemon.put("step");
    let mut behind = definition("step", None);
    behind["nodes"]["b"] = behind["nodes"]["a"].clone();
    behind["nodes"]["b"]["dependencies"] = json!([{"name": "a"}]);
    let made = daemon.client.post("/v6/recipe-types/", &recipe_type("two", behind)).expect(201);
    let body = json!({"recipe_type_id": made["id"], "input": {"json": {"N": 1}}});
    daemon.client.post("/v6/recipes/", &body).expect(201);
    let job = |id: u64| daemon.client.get(&format!("/v6/jobs/{id}/")).expect(200);
    let listed = daemon.client.get("/v6/jobs/?order=id").expect(200);
    for (at, status, is_null) in [(0, "QUEUED", false), (1, "PENDING", true)] {
        let row = &listed["results"][at];
        assert_eq!((&row["status"], row["last_status_change"].is_null()), (&json!(status), is_null), "{row}");
        let id = row["id"].as_u64().expect("an id");
        assert_eq!(job(id)["last_status_change"], row["last_status_change"]);
    }
    let first = listed["results"][0]["id"].clone();
    assert_eq!(daemon.client.post("/v6/jobs/cancel/", &json!({"job_ids": [first]})).status, 202);
    let rest = daemon.client.get("/v6/jobs/?status=BLOCKED").expect(200);
    assert!(rest["results"][0]["last_status_change"].is_string(), "{rest}");
    assert_eq!(rest["count"], 1);
}

#[test]
fn what_the_scheduler_says_is_shown_while_it_is_new() {
    let daemon = Daemon::new();
    let detail = || daemon.client.get("/v6/status/").expect(503)["detail"].clone();
    assert_eq!(detail(), "Status is missing. Scheduler may be down.");
    let ago = |seconds: i64| weighbridge::Timestamp(daemon.engine.now().0 - seconds * 1_000_000);
    daemon.engine.report_status("{\"nodes\":[]}", ago(13));
    assert_eq!(detail(), "Status is over 12 seconds old");
    daemon.engine.report_status("{\"nodes\":[]}", ago(1));
    let said = daemon.client.get("/v6/status/").expect(200);
    assert_eq!(said["nodes"], json!([]));
    assert!(said["timestamp"].is_string());
}

#[test]
fn workspaces_are_what_configurations_name_and_keep_their_secrets() {
    let daemon = Daemon::new();
    let broker = json!({"type": "s3", "bucket_name": "b", "credentials": {"access_key_id": "a", "secret_access_key": "s"}});
    let body = json!({"title": "My Files", "configuration": {"version": "7", "broker": broker}});
    let made = daemon.client.post("/v6/workspaces/", &body);
    let shown = made.expect(201);
    assert!(made.header("location").is_some_and(|at| at.ends_with("/v6/workspaces/1/")));
    assert_eq!((&shown["name"], &shown["is_active"]), (&json!("my-files"), &json!(true)));
    assert_eq!(shown["configuration"]["broker"]["credentials"]["secret_access_key"], "************");
    assert_eq!(daemon.client.post("/v6/workspaces/", &body).expect(201)["name"], "my-files-2");
    let refused = |configuration: Value| {
        detail_of(
            &daemon.client.post("/v6/workspaces/", &json!({"title": "x", "configuration": configuration})),
        )
    };
    assert!(refused(json!({})).contains("'broker' is a required property"));
    assert!(refused(json!({"broker": {"type": "tape"}})).contains("'tape' is not one of"));
    let mut with_files = body_with_output("step");
    daemon.client.post("/v6/job-types/", &with_files).expect(400);
    with_files["configuration"] = json!({"output_workspaces": {"default": "my-files"}});
    daemon.client.post("/v6/job-types/", &with_files).expect(201);
    assert_eq!(daemon.patch("/v6/workspaces/1/", &json!({"is_active": false, "title": "Old"})).status, 204);
    let shown = daemon.client.get("/v6/workspaces/1/").expect(200);
    assert_eq!((&shown["title"], &shown["is_active"]), (&json!("Old"), &json!(false)));
    let listed = daemon.client.get("/v6/workspaces/?name=my-files&order=-id").expect(200);
    assert_eq!(names(&listed), ["my-files"]);
    assert_eq!(daemon.client.get("/v6/workspaces/9/").status, 404);
}

/// A job type that leaves a file.
fn body_with_output(name: &str) -> Value {
    let mut manifest = manifest(name);
    manifest["job"]["interface"]["outputs"] = json!({"files": [{"name": "O", "pattern": "*"}]});
    body(manifest)
}

#[test]
fn errors_that_a_manifest_declares_are_on_record() {
    let daemon = Daemon::new();
    let mut declaring = manifest("step");
    declaring["job"]["errors"] = json!([
        {"code": 3, "name": "bad-data", "title": "Bad data", "category": "data"},
        {"code": 4, "name": "odd"},
    ]);
    daemon.client.post("/v6/job-types/", &body(declaring)).expect(201);
    let listed = daemon.client.get("/v6/errors/?is_builtin=false&order=name").expect(200);
    assert_eq!(names(&listed), ["bad-data", "odd"]);
    let first = &listed["results"][0];
    assert_eq!((&first["category"], &first["job_type_name"]), (&json!("DATA"), &json!("step")));
    assert_eq!(listed["results"][1]["category"], "ALGORITHM");
    let path = format!("/v6/errors/{}/", first["id"]);
    assert_eq!(daemon.client.get(&path).expect(200)["title"], "Bad data");
    assert_eq!(daemon.client.get("/v6/errors/?name=odd").expect(200)["count"], 1);
    assert_eq!(daemon.client.get("/v6/errors/999/").status, 404);
}
