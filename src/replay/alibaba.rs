//! Alibaba's trace of 2023: a list of nodes and a list of pods, as comma separated values with a line of
//! names. Columns are found by their names.
//!
//! A pod ran from `scheduled_time` to `deletion_time`; one that never was scheduled has no run time. Shares of
//! a graphics processor (`gpu_milli`) are amounts of all that a node has.

use std::path::{Path, PathBuf};

use super::cluster::NodeGroup;
use super::lines::{Line, Lines};
use super::numbers::{known, millionths};
use super::trace::{
    Asks, By, Format, Gathered, Raw, Reading, Record, TIME_MAX_US, Trace, TraceError, files_in,
};
use crate::model::{NodeResources, PRIORITY_DEFAULT, Quantity, ResourceName};

/// Columns of a pod.
const POD: [&str; 9] = [
    "cpu_milli",
    "memory_mib",
    "num_gpu",
    "gpu_milli",
    "gpu_spec",
    "qos",
    "creation_time",
    "deletion_time",
    "scheduled_time",
];

/// Columns of a node.
const NODE: [&str; 4] = ["sn", "cpu_milli", "memory_mib", "gpu"];

/// Parts of the names of the two lists, and of the list of pods that is taken where there are several.
const NODE_LIST: &str = "node_list";
const POD_LIST: &str = "pod_list";
const DEFAULT_LIST: &str = "default";

/// Classes of service and their priorities; others come last.
const CLASSES: &[(&str, i32)] = &[("Guaranteed", 0), ("LS", 0), ("Burstable", 100), ("BE", 200)];
const CLASS_UNKNOWN: i32 = 300;

/// True for the line of names of a list of pods.
pub(super) fn is_head(text: &str) -> bool {
    columns(text, &POD).is_ok()
}

/// Where `names` stand.
fn columns<const N: usize>(head: &str, names: &[&str; N]) -> Result<[usize; N], String> {
    let mut places = [0; N];
    for (place, name) in places.iter_mut().zip(names) {
        let found = head.split(',').position(|column| column.trim() == *name);
        *place = found.ok_or_else(|| format!("no column {name}"))?;
    }
    Ok(places)
}

/// The fields of a line in the order of `columns`.
fn fields<'t, const N: usize>(text: &'t str, columns: &[usize; N]) -> Result<[&'t str; N], String> {
    let all: Vec<&str> = text.split(',').map(str::trim).collect();
    let mut found = [""; N];
    for (field, column) in found.iter_mut().zip(columns) {
        *field = all.get(*column).ok_or_else(|| format!("{} fields are too few", all.len()))?;
    }
    Ok(found)
}

/// The lists of a trace: `path` is a directory with both, or a list of pods.
fn lists(path: &Path) -> Result<(PathBuf, PathBuf), TraceError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = if path.is_dir() { path } else { parent.unwrap_or(Path::new(".")) };
    let files = files_in(directory)?;
    let has = |file: &PathBuf, part: &str| {
        file.file_name().is_some_and(|name| name.to_string_lossy().contains(part))
    };
    let missing = |what| TraceError::Missing { path: directory.to_owned(), what };
    let nodes = files.iter().find(|file| has(file, NODE_LIST)).ok_or_else(|| missing("list of nodes"))?;
    if !path.is_dir() {
        return Ok((nodes.clone(), path.to_owned()));
    }
    let pods = || files.iter().filter(|file| has(file, POD_LIST));
    let pods = pods().find(|file| has(file, DEFAULT_LIST)).or_else(|| pods().next());
    Ok((nodes.clone(), pods.ok_or_else(|| missing("list of pods"))?.clone()))
}

pub(super) fn read(path: &Path, reading: &Reading) -> Result<Trace, TraceError> {
    let (nodes, pods) = lists(path)?;
    let mut gathered = Gathered::new(reading, &[By::Qos, By::Gpu])?;
    let machines = read_nodes(&nodes, &mut gathered)?;
    let mut lines = Lines::open(&pods)?;
    let columns = head(&mut lines, &POD)?;
    while !gathered.is_enough() {
        let Some(line) = lines.next()? else { break };
        let number = lines.number();
        let said = match &line {
            Line::Text(text) if text.trim().is_empty() => continue,
            Line::Text(text) => {
                fields(text, &columns).and_then(|pod| self::pod(&pod, number, reading.has_priorities))
            }
            Line::TooLong => Err("the line is too long".to_owned()),
        };
        match said {
            Ok(Said::Pod(pod, has_models)) => {
                gathered.add(&pods, &pod)?;
                if has_models {
                    gathered.named_models();
                }
            }
            Ok(Said::Skip(reason)) => gathered.skip(reason),
            Err(what) => gathered.bad(&pods, number, what)?,
        }
    }
    gathered.finish(Format::Alibaba, path, machines)
}

/// The line of names.
fn head<const N: usize>(lines: &mut Lines, names: &[&str; N]) -> Result<[usize; N], TraceError> {
    let found = match lines.next()? {
        Some(Line::Text(text)) => columns(&text, names).ok(),
        _ => None,
    };
    found.ok_or_else(|| TraceError::Unknown { path: lines.path().to_owned() })
}

fn read_nodes(path: &Path, gathered: &mut Gathered<'_>) -> Result<Vec<NodeGroup>, TraceError> {
    let mut lines = Lines::open(path)?;
    let columns = head(&mut lines, &NODE)?;
    let mut nodes = Vec::new();
    while let Some(line) = lines.next()? {
        let node = match &line {
            Line::Text(text) if text.trim().is_empty() => continue,
            Line::Text(text) => fields(text, &columns).and_then(|fields| node(&fields)),
            Line::TooLong => Err("the line is too long".to_owned()),
        };
        match node {
            Ok(node) => nodes.push(node),
            Err(what) => gathered.bad(path, lines.number(), what)?,
        }
    }
    Ok(nodes)
}

/// A whole number that must be there.
fn whole(name: &str, field: &str) -> Result<u64, String> {
    let number = field.parse::<u32>().map(u64::from);
    number.map_err(|_| format!("{name}: {field:?} is no whole number"))
}

fn node(&[name, cpu_milli, mem, n_gpus]: &[&str; NODE.len()]) -> Result<NodeGroup, String> {
    let amounts = [
        (ResourceName::CPUS, Quantity(whole("cpu_milli", cpu_milli)?)),
        (ResourceName::MEM, Quantity::whole(whole("memory_mib", mem)?)),
        (ResourceName::GPUS, Quantity::whole(whole("gpu", n_gpus)?)),
    ];
    let of = |set: NodeResources, (name, amount): (&str, Quantity)| {
        if amount == Quantity::ZERO { set } else { set.with(name, amount).expect("standard names") }
    };
    Ok(NodeGroup { n: 1, name: name.to_owned(), each: amounts.into_iter().fold(NodeResources::new(), of) })
}

/// What a line says.
enum Said {
    /// A pod, and whether it asks for kinds of graphics processors.
    Pod(Raw, bool),
    /// One that cannot be replayed, and why.
    Skip(&'static str),
}

/// A time in microseconds; none where nothing stands.
fn time(name: &str, field: &str) -> Result<Option<u64>, String> {
    if field.is_empty() {
        return Ok(None);
    }
    let time = millionths(field).ok_or_else(|| format!("{name}: {field:?} is no time"))?;
    Ok(known(time))
}

fn pod(pod: &[&str; POD.len()], line: u64, has_priorities: bool) -> Result<Said, String> {
    let [cpu_milli, mem, n_gpus, gpu_milli, models, qos, created, deleted, scheduled] = *pod;
    let (n_gpus, gpu_milli) = (whole("num_gpu", n_gpus)?, whole("gpu_milli", gpu_milli)?);
    let asks = Asks {
        cpus: Quantity(whole("cpu_milli", cpu_milli)?),
        mem: Quantity::whole(whole("memory_mib", mem)?),
        gpus: Quantity(n_gpus * gpu_milli),
        n_parts: None,
    };
    let (created, deleted) = (time("creation_time", created)?, time("deletion_time", deleted)?);
    let scheduled = time("scheduled_time", scheduled)?;
    let Some(arrival_us) = created else { return Ok(Said::Skip("no creation time")) };
    let Some(scheduled) = scheduled else { return Ok(Said::Skip("never scheduled, so no run time")) };
    let Some(deleted) = deleted else { return Ok(Said::Skip("no run time")) };
    let run_us = deleted.checked_sub(scheduled).ok_or("it was deleted before it was scheduled")?;
    if run_us > TIME_MAX_US {
        return Err("it runs longer than a hundred years".to_owned());
    }
    if [asks.cpus, asks.mem, asks.gpus] == [Quantity::ZERO; 3] {
        return Ok(Said::Skip("asks for nothing"));
    }
    let class =
        CLASSES.iter().find(|(name, _)| *name == qos).map_or(CLASS_UNKNOWN, |(_, priority)| *priority);
    let priority = PRIORITY_DEFAULT + if has_priorities { class } else { 0 };
    let waited_us = scheduled.checked_sub(arrival_us);
    let record = Record { line, arrival_us, run_us, waited_us, asks, kind: 0, priority };
    let qos = if qos.is_empty() { "no class" } else { qos };
    Ok(Said::Pod(
        Raw { record, kinds: vec![qos.to_owned(), gpu_kind(n_gpus, gpu_milli)] },
        !models.is_empty(),
    ))
}

fn gpu_kind(n_gpus: u64, gpu_milli: u64) -> String {
    match (n_gpus, gpu_milli) {
        (0, _) | (_, 0) => "no gpu".to_owned(),
        (1, 1..1_000) => "share of a gpu".to_owned(),
        (1, _) => "1 gpu".to_owned(),
        (n, _) => format!("{n} gpus"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time";

    fn said(line: &str) -> Result<Said, String> {
        let columns = columns(HEAD, &POD).expect("all of them");
        fields(line, &columns).and_then(|fields| pod(&fields, 2, true))
    }

    #[test]
    fn a_pod_asks_for_shares_and_runs_from_its_start_to_its_end() {
        let Ok(Said::Pod(raw, false)) = said("p,1500,2048,1,460,,BE,Running,10,100,40") else {
            panic!("a pod")
        };
        let record = raw.record;
        let asks =
            Asks { cpus: Quantity(1_500), mem: Quantity::whole(2_048), gpus: Quantity(460), n_parts: None };
        assert_eq!((record.asks, record.priority), (asks, 300));
        let times = (record.arrival_us, record.run_us, record.waited_us);
        assert_eq!(times, (10_000_000, 60_000_000, Some(30_000_000)));
        assert_eq!(raw.kinds, ["BE", "share of a gpu"]);
        let Ok(Said::Pod(raw, true)) = said("p,1500,2048,8,1000,A10|T4,LS,Running,10,100,40") else {
            panic!("one")
        };
        assert_eq!((raw.record.asks.gpus, raw.record.priority), (Quantity::whole(8), 100));
        assert_eq!(raw.kinds, ["LS", "8 gpus"]);
    }

    #[test]
    fn pods_that_are_none_or_never_ran_say_so() {
        let skips = |line, expected| {
            assert!(matches!(said(line), Ok(Said::Skip(reason)) if reason == expected), "{line}");
        };
        skips("p,1500,2048,1,460,,BE,Pending,10,100,", "never scheduled, so no run time");
        skips("p,1500,2048,1,460,,BE,Running,10,,40", "no run time");
        skips("p,1500,2048,1,460,,BE,Running,,100,40", "no creation time");
        skips("p,0,0,0,0,,BE,Running,10,100,40", "asks for nothing");
        let check = |line, part: &str| {
            let what = said(line).err().unwrap_or_else(|| panic!("{line} is good"));
            assert!(what.contains(part), "{line}: {what}");
        };
        check("p,1500,2048", "3 fields are too few");
        check("p,x,2048,1,460,,BE,Running,10,100,40", "cpu_milli: \"x\"");
        check("p,1500,2048,1,460,,BE,Running,10,ten,40", "deletion_time: \"ten\"");
        check("p,1500,2048,1,460,,BE,Running,10,30,40", "before it was scheduled");
    }

    #[test]
    fn a_node_has_what_is_not_zero() {
        let node = node(&["n", "32000", "1024", "0"]).expect("a node");
        assert_eq!((node.name.as_str(), node.each.to_string()), ("n", "cpus:32,mem:1024".to_owned()));
        assert!(is_head(HEAD) && !is_head("sn,cpu_milli,memory_mib,gpu,model"));
    }
}
