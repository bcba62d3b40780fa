//! How long a year of hourly load rows of 200 job types takes to group, to keep and to open again.
//!
//! `cargo run --release --example load` prints it, `-- --json` as one JSON object. Fails where grouping takes
//! longer than it may. `--types N` and `--days N` change the size.

use std::time::{Duration, Instant};

use weighbridge::{Engine, JobTypeId, JobTypeSpec, LoadFilter, LoadRow, Options, Timestamp};

const SYNC: Duration = Duration::from_mins(2);
const HOUR: i64 = 3_600 * Timestamp::PER_SECOND;

/// The longest that grouping may take, with filters or without.
const GROUPING_MAX: Duration = Duration::from_millis(50);

/// Looks of which the slowest counts.
const LOOKS: usize = 20;

type Failure = Box<dyn std::error::Error>;

fn argument(name: &str, default: i64) -> Result<i64, Failure> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    match (arguments.next(), arguments.next()) {
        (Some(_), Some(value)) => Ok(value.parse()?),
        _ => Ok(default),
    }
}

/// Resident memory of this process in MiB, where the system tells it.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1_024.0
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn timed<T>(action: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = action();
    (result, start.elapsed())
}

fn ms(length: Duration) -> f64 {
    length.as_secs_f64() * 1e3
}

fn main() -> Result<(), Failure> {
    let (n_types, days) = (argument("--types", 200)?, argument("--days", 365)?);
    let directory = std::env::temp_dir().join(format!("weighbridge-load-{}", std::process::id()));
    let options = || Options::default().load_period(None).load_rows(u32::MAX);
    let engine = Engine::open(&directory, options())?;
    let mut types = Vec::new();
    for n in 0..n_types {
        types.push(engine.put_job_type(JobTypeSpec::new(format!("type{n}"), "1.0"))?.wait_durable(SYNC)?);
    }
    let before_mib = resident_mib();
    let start = engine.now().0.div_euclid(HOUR) * HOUR - days * 24 * HOUR;
    let row = |hour: i64, (n, job_type): (u64, &JobTypeId)| {
        let measured = Timestamp(start + hour * HOUR);
        LoadRow { measured, job_type: Some(*job_type), pending: n, queued: n * 7 % 1_000, running: n % 40 }
    };
    let (filled, filling) = timed(|| -> Result<u64, Failure> {
        let mut tickets = std::collections::VecDeque::new();
        let mut n_rows = 0;
        for day in 0..days {
            let hours = (0..24).flat_map(|hour| (0..).zip(&types).map(move |of| row(day * 24 + hour, of)));
            let rows: Vec<LoadRow> = hours.collect();
            n_rows += rows.len() as u64;
            for rows in rows.chunks(10_000) {
                tickets.push_back(engine.put_job_loads(rows.to_vec())?);
            }
            while tickets.len() > 8 {
                tickets.pop_front().expect("there are some").wait_durable(SYNC)?;
            }
        }
        tickets.iter().try_for_each(|ticket| ticket.wait_durable(SYNC).map(|_| ()))?;
        Ok(n_rows)
    });
    let n_rows = filled?;
    let after_mib = resident_mib();
    let half: Vec<JobTypeId> = types.iter().copied().step_by(2).collect();
    let filters = [
        ("all", LoadFilter::default()),
        ("half of the types", LoadFilter { job_type_ids: half.clone(), ..LoadFilter::default() }),
        (
            "ids and a name",
            LoadFilter {
                job_type_ids: half,
                job_type_names: vec!["type0".to_owned()],
                ..LoadFilter::default()
            },
        ),
    ];
    let mut slowest = Vec::new();
    for (name, filter) in &filters {
        let mut most = Duration::ZERO;
        for _ in 0..LOOKS {
            let (groups, length) = timed(|| engine.job_load_groups(filter));
            assert_eq!(groups.len(), usize::try_from(days * 24)?);
            most = most.max(length);
        }
        slowest.push((*name, most));
    }
    engine.checkpoint(SYNC).ok_or("no checkpoint")?;
    let one = row(days * 24, (1, &types[0]));
    engine
        .put_job_loads(vec![LoadRow { measured: engine.now().min(one.measured), ..one }])?
        .wait_durable(SYNC)?;
    let (checkpoint, checkpointing) = timed(|| engine.checkpoint(SYNC));
    checkpoint.ok_or("no checkpoint")?;
    engine.close()?;
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let state_mib = std::fs::metadata(directory.join("state.redb"))?.len() as f64 / f64::from(1 << 20);
    let (opened, opening) = timed(|| Engine::open(&directory, options()));
    opened?.close()?;
    std::fs::remove_dir_all(&directory)?;

    let grouping = slowest.iter().map(|(_, most)| *most).max().unwrap_or_default();
    if std::env::args().any(|argument| argument == "--json") {
        let groups: Vec<String> =
            slowest.iter().map(|(name, most)| format!("{name:?}: {:.2}", ms(*most))).collect();
        println!(
            "{{\"rows\": {n_rows}, \"fill_ms\": {:.0}, \"memory_mib\": {:.1}, \"group_ms_max\": {{{}}}, \
             \"checkpoint_of_one_row_ms\": {:.1}, \"state_mib\": {:.1}, \"open_ms\": {:.0}}}",
            ms(filling),
            after_mib - before_mib,
            groups.join(", "),
            ms(checkpointing),
            state_mib,
            ms(opening),
        );
    } else {
        println!(
            "{n_rows} rows put on record in {:.0} ms, {:.1} MiB of memory",
            ms(filling),
            after_mib - before_mib
        );
        for (name, most) in &slowest {
            println!("grouped, {name}: {:.2} ms, the slowest of {LOOKS}", ms(*most));
        }
        println!("a checkpoint of one more row: {:.1} ms", ms(checkpointing));
        println!("{:.1} MiB of state, open again in {:.0} ms", state_mib, ms(opening));
    }
    if grouping > GROUPING_MAX {
        return Err(format!(
            "grouping took {:.1} ms, at most {:.0} are allowed",
            ms(grouping),
            ms(GROUPING_MAX)
        )
        .into());
    }
    Ok(())
}
