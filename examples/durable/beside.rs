//! Figures that are a ratio of two sides: rounds in turn, ours then theirs.

use serde_json::json;

use crate::bare::{Bare, RecordBytes};
use crate::figures::{Anything, Figure, Side, Turn, count, median, real, rounded};
use crate::ours::{BATCH_JOBS, Ours, WINDOW, batches, callers, lives, lives_of_one, together};
use crate::peers::{Beanstalkd, Kind, Life, Postgres, Redis};
use crate::plan::Plan;

/// Rounds in turn; the first of each side is for warming up, and thrown away.
fn in_turn(n_rounds: usize, mut sides: Vec<Box<dyn FnMut() -> Anything<Turn> + '_>>) -> Anything<Vec<Side>> {
    let mut all: Vec<Side> = sides.iter().map(|_| Side::default()).collect();
    for round in 0..=n_rounds {
        for (side, run) in all.iter_mut().zip(&mut sides) {
            let turn = run()?;
            if round > 0 {
                side.push(turn);
            }
        }
    }
    Ok(all)
}

fn two_in_turn<'a>(
    n_rounds: usize,
    ours: impl FnMut() -> Anything<Turn> + 'a,
    theirs: impl FnMut() -> Anything<Turn> + 'a,
) -> Anything<(Side, Side)> {
    let mut sides = in_turn(n_rounds, vec![Box::new(ours), Box::new(theirs)])?.into_iter();
    Ok(sides.next().zip(sides.next()).expect("two went in"))
}

pub(crate) fn one_caller_vs_log(plan: &Plan) -> Anything<Vec<Figure>> {
    let key = "one_caller_vs_log";
    let n = plan.scaled(3_000, 50);
    let record = RecordBytes::measure(&plan.place.at("one_caller.record"))?;
    let mut ours = Ours::open(&plan.place.at(key))?;
    let mut bare = Bare::create(&plan.place.at("one_caller.bare"))?;
    let (mut us, mut log) = two_in_turn(
        plan.n_rounds,
        || {
            let list = ours.submissions(n, 1);
            callers(&ours.engine, vec![list])
        },
        || bare.append(record.alone, n),
    )?;
    ours.check(false)?;
    let raw = json!({
        "rounds": plan.n_rounds,
        "ours": us.json(),
        "bare_log": log.json(),
        "record_bytes": record.alone,
        "are_record_bytes_measured": record.is_measured,
    });
    let against = format!("append + fdatasync of {} bytes, {:.0} a second", record.alone, log.per_s());
    Ok(vec![Figure::new(key, us.per_s() / log.per_s(), against, raw)])
}

pub(crate) fn callers64_vs_one(plan: &Plan) -> Anything<Vec<Figure>> {
    let key = "callers64_vs_one";
    let (n_one, n_each) = (plan.scaled(3_000, 50), plan.scaled(1_000, 20));
    let mut many = Ours::open(&plan.place.at(key))?;
    let mut single = Ours::open(&plan.place.at("callers64.one"))?;
    let (mut us, mut one) = two_in_turn(
        plan.n_rounds,
        || {
            let lists = (0..64).map(|_| many.submissions(n_each, 1)).collect();
            callers(&many.engine, lists)
        },
        || {
            let list = single.submissions(n_one, 1);
            callers(&single.engine, vec![list])
        },
    )?;
    many.check(false)?;
    single.check(false)?;
    let against = format!("one caller, {:.0} a second", one.per_s());
    let value = us.per_s() / one.per_s();
    let raw = json!({ "rounds": plan.n_rounds, "callers": 64, "ours": us.json(), "one_caller": one.json() });
    Ok(vec![Figure::new(key, value, against, raw)])
}

pub(crate) fn batch1000_vs_log(plan: &Plan) -> Anything<Vec<Figure>> {
    let key = "batch1000_vs_log";
    let n = plan.scaled(500, 8);
    let record = RecordBytes::measure(&plan.place.at("batch1000.record"))?;
    let mut ours = Ours::open(&plan.place.at(key))?;
    let mut bare = Bare::create(&plan.place.at("batch1000.bare"))?;
    let (mut us, mut log) = (Side::default(), Side::default());
    let mut all_bytes = Vec::new();
    for round in 0..=plan.n_rounds {
        let list = ours.submissions(n, BATCH_JOBS);
        let before = ours.engine.n_commits();
        let turn = batches(&ours.engine, list)?;
        // Batches that wait share a sync. The bare loop writes what one of ours wrote, as often.
        let n_commits = (ours.engine.n_commits() - before).max(1);
        let bytes = n * BATCH_JOBS * count(record.in_batch) / n_commits;
        let bare_turn = bare.append(usize::try_from(bytes)?, n_commits)?;
        if round > 0 {
            us.push(turn);
            log.push(Turn { n: n * BATCH_JOBS, ..bare_turn });
            all_bytes.push(real(bytes));
        }
    }
    ours.check(false)?;
    let bytes = median(&all_bytes);
    let raw = json!({
        "rounds": plan.n_rounds,
        "window": WINDOW,
        "ours": us.json(),
        "bare_log": log.json(),
        "bytes_per_job": record.in_batch,
        "are_record_bytes_measured": record.is_measured,
        "bytes_per_sync": bytes,
        "jobs_per_sync": rounded(bytes / real(count(record.in_batch))),
    });
    let against = format!(
        "append + fdatasync of {bytes:.0} bytes, {:.0} jobs/s; {WINDOW} batches on their way",
        log.per_s()
    );
    Ok(vec![Figure::new(key, us.per_s() / log.per_s(), against, raw)])
}

pub(crate) fn batch1000_vs_redis(plan: &Plan) -> Anything<Vec<Figure>> {
    let key = "batch1000_vs_redis";
    let Some(address) = plan.peers.redis else { return Ok(vec![absent(key, "redis-server")]) };
    let (n, n_theirs) = (plan.scaled(500, 8), plan.scaled(200, 8));
    let mut ours = Ours::open(&plan.place.at(key))?;
    let mut sorted = Redis::open(address, Kind::SortedSet)?;
    let mut list = Redis::open(address, Kind::List)?;
    let sides: Vec<Box<dyn FnMut() -> Anything<Turn> + '_>> = vec![
        Box::new(|| {
            let list = ours.submissions(n, BATCH_JOBS);
            batches(&ours.engine, list)
        }),
        Box::new(|| {
            let pipelines = sorted.pipelines(n_theirs);
            sorted.enqueue(&pipelines)
        }),
        Box::new(|| {
            let pipelines = list.pipelines(n_theirs);
            list.enqueue(&pipelines)
        }),
    ];
    let mut sides = in_turn(plan.n_rounds, sides)?;
    ours.check(false)?;
    sorted.finish()?;
    list.finish()?;
    let [us, zset, rpush] = sides.as_mut_slice() else { unreachable!("three went in") };
    let raw = json!({
        "rounds": plan.n_rounds,
        "window": WINDOW,
        "ours": us.json(),
        "redis_zadd": zset.json(),
        "redis_rpush": rpush.json(),
        "ratio_to_rpush": rounded(us.per_s() / rpush.per_s()),
    });
    let against = format!(
        "ZADD, {:.0} jobs/s (RPUSH {:.0}); {WINDOW} batches on their way on both sides",
        zset.per_s(),
        rpush.per_s()
    );
    Ok(vec![Figure::new(key, us.per_s() / zset.per_s(), against, raw)])
}

pub(crate) fn life_jobs_per_s(plan: &Plan) -> Anything<Vec<Figure>> {
    let key = "life_jobs_per_s";
    let n = plan.scaled(200, 8);
    let mut ours = Ours::open(&plan.place.at(key))?;
    let sides: Vec<Box<dyn FnMut() -> Anything<Turn> + '_>> = vec![Box::new(|| {
        let list = ours.submissions(n, BATCH_JOBS);
        lives(&ours.engine, list)
    })];
    let mut sides = in_turn(plan.n_rounds, sides)?;
    ours.check(true)?;
    let us = &mut sides[0];
    let raw = json!({ "rounds": plan.n_rounds, "window": WINDOW, "ours": us.json() });
    Ok(vec![Figure::new(key, us.per_s(), "itself: every one of the jobs is COMPLETED", raw)])
}

/// Callers that live jobs side by side.
const N_CALLERS: usize = 16;

/// Our side of both figures of lives.
fn our_lives(ours: &mut Ours, n_each: u64) -> Anything<Turn> {
    let lists: Vec<_> = (1..).take(N_CALLERS).map(|number| (number, ours.submissions(n_each, 1))).collect();
    let engine = &ours.engine;
    together(lists.into_iter().map(|(number, list)| move || lives_of_one(engine, number, list)).collect())
}

pub(crate) fn life16_vs_beanstalkd(plan: &Plan) -> Anything<Vec<Figure>> {
    let key = "life16_vs_beanstalkd";
    let Some(address) = plan.peers.beanstalkd else { return Ok(vec![absent(key, "beanstalkd")]) };
    let n_each = plan.scaled(300, 20);
    let mut ours = Ours::open(&plan.place.at(key))?;
    let mut theirs = Beanstalkd::open(address, N_CALLERS)?;
    let (mut us, mut them) =
        two_in_turn(plan.n_rounds, || our_lives(&mut ours, n_each), || theirs.lives(n_each))?;
    ours.check(true)?;
    theirs.finish()?;
    let raw = json!({
        "rounds": plan.n_rounds, "callers": N_CALLERS, "ours": us.json(), "beanstalkd": them.json(),
    });
    let against = format!("put, reserve, delete with a synced log, {:.0} lives/s", them.per_s());
    Ok(vec![Figure::new(key, us.per_s() / them.per_s(), against, raw)])
}

pub(crate) fn life16_vs_postgres(plan: &Plan) -> Anything<Vec<Figure>> {
    let key = "life16_vs_postgres";
    let Some(address) = plan.peers.postgres else { return Ok(vec![absent(key, "postgresql")]) };
    let n_each = plan.scaled(300, 20);
    let mut ours = Ours::open(&plan.place.at(key))?;
    let mut three = Postgres::open(address, N_CALLERS, Life::ThreeCommits)?;
    let mut two = Postgres::open(address, N_CALLERS, Life::TwoCommits)?;
    let sides: Vec<Box<dyn FnMut() -> Anything<Turn> + '_>> = vec![
        Box::new(|| our_lives(&mut ours, n_each)),
        Box::new(|| three.lives(n_each)),
        Box::new(|| two.lives(n_each)),
    ];
    let mut sides = in_turn(plan.n_rounds, sides)?;
    ours.check(true)?;
    three.finish()?;
    two.finish()?;
    let [us, three, two] = sides.as_mut_slice() else { unreachable!("three went in") };
    let raw = json!({
        "rounds": plan.n_rounds,
        "callers": N_CALLERS,
        "ours": us.json(),
        "postgres_insert_update_delete": three.json(),
        "postgres_insert_delete": two.json(),
        "ratio_to_insert_delete": rounded(us.per_s() / two.per_s()),
    });
    let against = format!(
        "INSERT, UPDATE .. SKIP LOCKED, DELETE, {:.0} lives/s (INSERT, DELETE .. SKIP LOCKED {:.0})",
        three.per_s(),
        two.per_s()
    );
    Ok(vec![Figure::new(key, us.per_s() / three.per_s(), against, raw)])
}

fn absent(key: &'static str, peer: &str) -> Figure {
    Figure::skipped(key, format!("no {peer} here; run it through benches/peers/run.sh"))
}
