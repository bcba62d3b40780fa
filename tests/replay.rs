//! `weighbridge replay`: traces that can be reckoned by hand, and the first records of real ones.

mod common;

use std::fmt::Write;
use std::path::PathBuf;

use common::{Ended, Place};
use serde_json::{Value, json};

fn ours(name: &str) -> String {
    format!("{}/tests/replay/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What the command answers in JSON, which it does.
fn answer(place: &Place, args: &[&str]) -> Value {
    ran(place, args).expect(0).json()
}

fn ran(place: &Place, args: &[&str]) -> Ended {
    place.run(&[&["replay", "--output", "json"], args].concat())
}

/// An answer without what depends on the machine.
fn without_wall(mut answer: Value) -> Value {
    let wall = answer.as_object_mut().and_then(|answer| answer.remove("wall"));
    assert!(wall.is_some_and(|wall| wall["elapsed_s"].as_f64() > Some(0.0)));
    answer
}

/// A log on a machine of 4 processors: submitted, ran, processors, queue.
fn log(jobs: &[(u32, u32, u32, u32)]) -> String {
    let mut text = "; MaxProcs: 4\n".to_owned();
    for (n, (submitted, ran, n_cpus, queue)) in jobs.iter().enumerate() {
        let _ = writeln!(
            text,
            "{n} {submitted} -1 {ran} {n_cpus} -1 -1 {n_cpus} -1 -1 1 1 1 -1 {queue} -1 -1 -1"
        );
    }
    text
}

#[test]
fn a_log_comes_to_what_is_reckoned_by_hand() {
    // Of 8 processors the first job takes 6 until 100 s. The second wants 4 and waits for its end; the third
    // goes past it into the 2 that are free, until 50 s; then the fourth takes those. The fifth wants 16.
    let place = Place::new();
    let answer = answer(&place, &[&ours("small.swf"), "--starved-after", "1m"]);
    let trace = &answer["trace"];
    assert_eq!((&trace["name"], &trace["format"]), (&json!("small.swf"), &json!("swf")));
    assert_eq!((&trace["n_records"], &trace["n_replayed"]), (&json!(8), &json!(5)));
    let skipped = json!({ "canceled before it ran": 1, "no processors": 1, "no run time": 1 });
    assert_eq!(trace["n_skipped"], skipped);
    assert_eq!(answer["cluster"], json!({ "n_nodes": 1, "total": { "cpus": 8.0 } }));
    assert_eq!((&answer["n_executions"], &answer["n_started"]), (&json!(5), &json!(4)));
    assert_eq!(answer["wait_s"], json!({ "mean": 27.5, "p50": 0.0, "p95": 90.0, "max": 90.0 }));
    assert_eq!(answer["slowdown"], json!({ "mean": 1.7, "p95": 2.8 }));
    assert_eq!(answer["recorded"]["wait_s"], json!({ "mean": 1.0, "p50": 0.0, "p95": 5.0, "max": 5.0 }));
    assert_eq!((&answer["span_s"], &answer["utilisation"]), (&json!(150.0), &json!({ "cpus": 0.75 })));
    let starved = &answer["starved"];
    let told = ["n_never_started", "n_never_fit", "n_waited_longer"].map(|name| starved[name].clone());
    assert_eq!(told, [1, 1, 1].map(|n| json!(n)));
    let never = json!([{ "line": 9, "job_type": "queue 2", "cpus": 16.0, "never_fits": true }]);
    assert_eq!(starved["never_started"], never);
    assert_eq!(
        (&answer["setup"]["gpu_slots"], &answer["setup"]["types_by"]),
        (&json!(false), &json!("queue"))
    );
    let series = &answer["series"];
    assert_eq!((&series["piece_s"], &series["queued_max"]), (&json!(1.0), &json!(3)));
    let at = |name: &str, places: &[usize]| -> Vec<Value> {
        let means = series.pointer(name).and_then(Value::as_array).expect("pieces");
        assert_eq!(means.len(), 150);
        places.iter().map(|place| means[*place].clone()).collect()
    };
    assert_eq!(json!(at("/utilisation/cpus", &[0, 20, 60, 80, 149])), json!([0.75, 1.0, 1.0, 0.75, 0.5]));
    assert_eq!(json!(at("/queued", &[5, 15, 35, 45, 60, 120])), json!([0.0, 1.0, 2.0, 3.0, 2.0, 1.0]));
}

#[test]
fn types_have_what_they_waited_and_had_running() {
    let place = Place::new();
    let answer = answer(&place, &[&ours("small.swf"), "--by", "user"]);
    let types = answer["types"].as_array().expect("types");
    let named =
        |name: &str| types.iter().find(|kind| kind["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    let first = named("user 1");
    assert_eq!((&first["n_executions"], &first["wait_s"]["max"]), (&json!(2), &json!(90.0)));
    // 100 s and 50 s of 150 s; the second of them was queued for 90 s.
    assert_eq!((&first["running_mean"], &first["queued_mean"]), (&json!(1.0), &json!(0.6)));
    assert_eq!(named("user 3")["n_never_started"], 1);
    assert_eq!((&named("user 3")["wait_s"], &named("user 3")["queued_max"]), (&Value::Null, &json!(1)));
    assert_eq!(answer["series"]["types"].as_array().map(Vec::len), Some(3));
}

#[test]
fn what_matters_more_goes_first_unless_all_are_equal() {
    let place = Place::new();
    let path = place.write("log", &log(&[(0, 10, 4, 1), (1, 10, 4, 2), (2, 10, 4, 1)]));
    let path = path.to_str().expect("text");
    let max_of = |answer: &Value, queue: &str| {
        let types = answer["types"].as_array().expect("types");
        types.iter().find(|kind| kind["name"] == queue).expect("there")["wait_s"]["max"].clone()
    };
    let by_queue = answer(&place, &[path]);
    assert_eq!((max_of(&by_queue, "queue 1"), max_of(&by_queue, "queue 2")), (json!(8.0), json!(19.0)));
    let in_order = answer(&place, &[path, "--no-priorities"]);
    assert_eq!((max_of(&in_order, "queue 1"), max_of(&in_order, "queue 2")), (json!(18.0), json!(9.0)));
}

#[test]
fn arrivals_that_are_compressed_come_closer_and_run_as_long() {
    let place = Place::new();
    let path = place.write("log", &log(&[(5, 10, 4, 1), (25, 10, 4, 1), (45, 10, 4, 1)]));
    let path = path.to_str().expect("text");
    let wait = |args: &[&str]| {
        let report = answer(&place, args);
        (report["wait_s"]["max"].clone(), report["span_s"].clone(), report["setup"]["compress"].clone())
    };
    assert_eq!(wait(&[path]), (json!(0.0), json!(50.0), json!(1)));
    // At 0, 5 and 10 s.
    assert_eq!(wait(&[path, "--compress", "4"]), (json!(10.0), json!(30.0), json!(4)));
}

#[test]
fn parts_of_a_job_start_where_there_is_room() {
    let place = Place::new();
    let answer = answer(&place, &[&ours("small.swf"), "--spread"]);
    // Two nodes of 4: 6 are 3 and 3, 16 are four times 4, all others fit one node.
    assert_eq!((&answer["cluster"]["n_nodes"], &answer["n_executions"]), (&json!(2), &json!(9)));
    assert_eq!((&answer["n_started"], &answer["starved"]["n_never_started"]), (&json!(9), &json!(0)));
    let parts = &answer["parts"];
    assert_eq!((&parts["n_jobs"], &parts["n_apart"]), (&json!(2), &json!(1)));
    // The second job takes a node at 100 s, and with it half of the last one's room: two of its parts start
    // one after the other on the other node, and so on.
    assert!(parts["apart_s"]["max"].as_f64() > Some(0.0), "{parts}");
}

#[test]
fn shares_of_a_graphics_processor_are_of_one_card() {
    let place = Place::new();
    let pods = ours("pods");
    let report = answer(&place, &[&pods]);
    // Two halves share a card, and one is left: c wants both and waits for their end at 100 s; d goes past it. e wants more cpus
    // than the other node has, and finds 8 - 3 on the large one until d ends at 70 s.
    assert_eq!(report["trace"]["n_skipped"], json!({ "never scheduled, so no run time": 1 }));
    assert_eq!(report["trace"]["n_models_ignored"], 1);
    let total = json!({ "cpus": 12.0, "gpus": 2.0, "mem": 24_576.0 });
    assert_eq!(report["cluster"], json!({ "n_nodes": 2, "total": total }));
    let wait_of = |report: &Value, name: &str| {
        let kind = report["types"].as_array().expect("types").iter().find(|kind| kind["name"] == name);
        kind.expect("there")["wait_s"]["max"].clone()
    };
    assert_eq!(
        ["BE", "Burstable", "LS"].map(|name| wait_of(&report, name)),
        [0.0, 40.0, 90.0].map(|s| json!(s))
    );
    assert_eq!(report["setup"]["gpu_slots"], true);
    // 0.7 and 0.6 are on a card each, and 0.7 is free in pieces: another 0.6 waits for an end, whoever decides.
    let pieces = place.path("pieces");
    std::fs::create_dir(&pieces).expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(pieces.join(name), text).expect("written");
    write("nodes_node_list.csv", "sn,cpu_milli,memory_mib,gpu,model\nbig,8000,16384,2,A\n");
    let head = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,\
                scheduled_time";
    let pods_of = ["a,1000,1024,1,600,,BE", "b,1000,1024,1,600,,BE", "c,1000,1024,1,700,,LS"];
    let pods_of = pods_of.map(|pod| format!("{pod},Running,1000,1100,1000")).join("\n");
    write("pods_pod_list_default.csv", &format!("{head}\n{pods_of}\n"));
    for decided_by in ["pass", "offer"] {
        let report = answer(&place, &[&pieces.display().to_string(), "--decide-by", decided_by]);
        assert_eq!(
            ["LS", "BE"].map(|name| wait_of(&report, name)),
            [0.0, 100.0].map(|s| json!(s)),
            "{decided_by}"
        );
    }
    let by_gpu = answer(&place, &[&pods, "--by", "gpu"]);
    let names: Vec<&Value> =
        by_gpu["types"].as_array().expect("types").iter().map(|kind| &kind["name"]).collect();
    assert_eq!(names, ["share of a gpu", "2 gpus", "1 gpu", "no gpu"]);
    let other = answer(&place, &[&format!("{pods}/pods_pod_list_other.csv")]);
    assert_eq!(other["n_executions"], 1);
    ran(&place, &[&pods, "--spread"]).expect(2).says("--spread is for logs");
    ran(&place, &[&pods, "--by", "queue"]).expect(2).says("have no queue");
}

#[test]
fn a_policy_says_on_which_node_and_whether_the_large_one_waits() {
    let place = Place::new();
    place.write("spread.json", r#"{"score": "spread", "reserving": "never"}"#);
    // Two of 1 and one of 4 for two nodes of 4: it has a node at once where the small ones share the other.
    let path = place.write("log", &log(&[(0, 100, 1, 1), (0, 100, 1, 1), (1, 10, 4, 1), (2, 10, 1, 1)]));
    let path = path.to_str().expect("text");
    let waits = |args: &[&str]| {
        let report = answer(&place, &[&[path, "--node", "2*cpus:4", "--spread"], args].concat());
        let wait = &report["wait_s"];
        ((wait["mean"].clone(), wait["max"].clone()), report["setup"].clone())
    };
    let (packed, setup) = waits(&[]);
    assert_eq!(packed, (json!(0.0), json!(0.0)));
    assert_eq!((&setup["decided_by"], &setup["policy"]["score"]), (&json!("pass"), &json!("best_fit")));
    let (spread, setup) = waits(&["--policy", "spread.json"]);
    assert_eq!((spread, &setup["policy"]["score"]), ((json!(24.75), json!(99.0)), &json!("spread")));
    let strict = r#"{"is_strict": true, "score": "spread"}"#;
    place.write("strict.json", strict);
    let (strict, _) = waits(&["--policy", "strict.json"]);
    assert_eq!(strict, (json!(49.25), json!(99.0)), "the last one waits behind the large one");
    let (offered, setup) = waits(&["--decide-by", "offer"]);
    assert_eq!((offered, &setup["decided_by"], &setup["policy"]), (packed, &json!("offer"), &json!(null)));
    place.write("wrong.json", r#"{"score": "best"}"#);
    ran(&place, &[path, "--policy", "wrong.json"]).expect(2).says("wrong.json:1:16: unknown variant `best`");
    ran(&place, &[path, "--policy", "spread.json", "--decide-by", "offer"])
        .expect(2)
        .says("--policy is for passes");
    ran(&place, &[path, "--seed", "7"]).expect(2).says("--decide-by offer");
}

#[test]
fn bad_lines_are_told_and_counted_or_refused() {
    let place = Place::new();
    let path = ours("bad.swf");
    let ended = ran(&place, &[&path]).expect(0);
    ended.says("bad.swf:3: 4 fields").says("bad.swf:4: column 4: \"ten\" is no number");
    assert_eq!((&ended.json()["trace"]["n_bad_lines"], &ended.json()["n_started"]), (&json!(2), &json!(2)));
    let refused = ran(&place, &[&path, "--strict"]).expect(2);
    refused.says("bad.swf:3: 4 fields").says("--strict");
    assert_eq!(refused.json()["error"]["code"], "bad-line");
    let first = answer(&place, &[&path, "--first", "1", "--strict"]);
    assert_eq!(first["trace"]["n_records"], 1);
}

#[test]
fn what_cannot_be_replayed_is_refused_with_what_to_do() {
    let place = Place::new();
    ran(&place, &["missing.swf"]).expect(4).says("could not read missing.swf");
    place.write("text", "Dear trace,\nI hope you are well.\n");
    ran(&place, &["text"]).expect(2).says("--format swf");
    place.write("none.swf", "; MaxProcs: 4\n");
    ran(&place, &["none.swf", "--format", "swf"]).expect(2).says("no record that can be replayed");
    let headless = log(&[(0, 10, 1, 1)]).lines().skip(1).collect::<String>();
    place.write("headless.swf", &headless);
    ran(&place, &["headless.swf"]).expect(2).says("--node N*cpus:80");
    ran(&place, &["headless.swf", "--node", "2*cpus"]).expect(2).says("NAME:AMOUNT");
    place.write("machines", "0 a 2 4 1 1048576\n0 b 1 x 1 1\n");
    ran(&place, &["headless.swf", "--machines", "machines"]).expect(2).says("machines:2: column 4");
    place.write("machines", "0 a 2 4 1 1048576\n");
    let report = answer(&place, &["headless.swf", "--machines", "machines", "--spread"]);
    assert_eq!(report["cluster"]["total"], json!({ "cpus": 8.0, "mem": 2_048.0 }));
    ran(&place, &["."]).expect(2).says("holds no list of nodes");
}

#[test]
fn what_is_put_on_record_comes_to_the_same() {
    let place = Place::new();
    let path = ours("small.swf");
    let in_memory = without_wall(answer(&place, &[&path]));
    let on_record = without_wall(answer(&place, &[&path, "--store", "store"]));
    assert_eq!(in_memory, on_record);
    place.run(&["check", "store"]).expect(0);
    ran(&place, &[&path, "--store", "store"]).expect(2).says("holds something already");
}

#[test]
fn the_table_has_types_waits_and_what_starved() {
    let place = Place::new();
    let table = place.run(&["replay", &ours("small.swf")]).expect(0);
    assert_eq!(table.stderr, "", "no progress where there is no terminal");
    for part in
        ["5 of 8 records replayed", "QUEUE", "queue 0", "as recorded", "1, 1 of them larger than any node"]
    {
        assert!(table.stdout.contains(part), "{part:?} is missing in {}", table.stdout);
    }
}

#[test]
fn a_plot_has_axes_with_units_and_a_line_for_each_resource_and_the_queue() {
    let place = Place::new();
    let plot = |name: &str| {
        answer(&place, &[&ours("small.swf"), "--plot", name]);
        place.read(name)
    };
    let drawn = plot("one.svg");
    assert_eq!(drawn, plot("other.svg"));
    assert!(drawn.starts_with("<svg xmlns=") && drawn.ends_with("</svg>\n"));
    for part in [
        "minutes since the first arrival",
        "used (% of all nodes)",
        "queued (executions)",
        "cpus (mean 75.0 %)",
        "queued (mean 1.5, most 3)",
        ">100</text>",
        ">2.5</text>",
    ] {
        assert!(drawn.contains(part), "{part:?} is missing in {drawn}");
    }
    let n = |mark: &str| drawn.matches(mark).count();
    assert_eq!(n("<text"), n("</text>"));
    assert_eq!(n("stroke-width=\"1.5\""), 2, "a line for cpus, one for the queue");
    // By hand: six of eight processors, all from second 20, six from 70, four from 100 to 150; queued 0, from
    // second 10 on 1, from 30 2, from 40 3, from 50 2, from 100 1.
    let cpus = [(5, 75), (15, 75), (25, 100), (65, 100), (75, 75), (95, 75), (105, 50), (145, 50)];
    let queued = [(5, 0), (15, 1), (35, 2), (45, 3), (55, 2), (95, 2), (105, 1), (145, 1)];
    for (panel, most, levels) in [("used (", 100, cpus), ("queued (executions)", 3, queued)] {
        let drawn = drawn.split_once(panel).expect("a panel").1;
        let line =
            drawn.split("<path d=\"M").find(|path| path.contains("stroke-width=\"1.5\"")).expect("a line");
        let steps = line.split('"').next().expect("steps").replace('V', " ");
        for (second, level) in levels {
            let x = 76.0 + 860.0 * f64::from(second) / 150.0;
            let at = steps
                .split('H')
                .map(|step| step.split(' ').filter_map(|n| n.parse().ok()).collect::<Vec<f64>>());
            // A step is where it ends and the height of the next one; the first is where it begins and its own.
            let before = at.take_while(|step| step.len() == 2 && step[0] <= x).last().expect("a step");
            let bottom = if most == 3 { 544.0 } else { 284.0 };
            let y = bottom - 200.0 * f64::from(level) / f64::from(most);
            assert!((before[1] - y).abs() < 0.06, "{panel} {second} s: {before:?} is not {y}");
        }
    }
    ran(&place, &[&ours("small.swf"), "--plot", "no/where.svg"])
        .expect(1)
        .says("could not write no/where.svg");
}

/// A folder of real traces beside the repository, where there is one.
fn real(name: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/traces").join(name);
    let is_there = path.exists();
    if !is_there {
        println!("skipped: no {}", path.display());
    }
    is_there.then(|| path.to_string_lossy().into_owned())
}

#[test]
fn real_traces_are_replayed_twice_to_the_same_bytes() {
    let place = Place::new();
    place.write("spread.json", r#"{"score": "spread", "reserving": "never"}"#);
    let machines = real("cerit-wagap-2013/wagap-2013.machines.tsv");
    let machines = machines.as_deref().unwrap_or_default();
    for (name, more) in [
        ("kth-sp2-1996/KTH-SP2-1996.swf.gz", &[][..]),
        ("unilu-gaia-2014/UniLu-Gaia-2014-1.swf.gz", &["--spread", "--decide-by", "offer", "--seed", "7"]),
        ("cerit-wagap-2013/wagap-2013.swf.gz", &["--spread", "--machines", machines]),
        ("alibaba-gpu-2023", &["--by", "gpu", "--policy", "spread.json"]),
    ] {
        let Some(path) = real(name) else { continue };
        let args = [&[path.as_str(), "--strict", "--first", "400"], more].concat();
        let answers = [(), ()].map(|()| without_wall(answer(&place, &args)));
        assert_eq!(answers[0].to_string(), answers[1].to_string(), "{name}");
        let n = |place: &str| answers[0].pointer(place).and_then(Value::as_u64).expect("a number");
        assert_eq!(n("/trace/n_records"), 400, "{name}");
        assert!(n("/trace/n_replayed") > 300 && n("/n_executions") >= n("/trace/n_replayed"), "{name}");
        assert_eq!(n("/n_started") + n("/starved/n_never_started"), n("/n_executions"), "{name}");
        assert_eq!(
            n("/starved/n_never_started"),
            n("/starved/n_never_fit"),
            "{name}: what fits starts at last"
        );
        let used = answers[0]["utilisation"]["cpus"].as_f64();
        assert!(used > Some(0.0) && used <= Some(1.0), "{name}: {used:?}");
    }
}
