//! Metrics in `OpenMetrics` text, made at each scrape from the published view: the core is not
//! touched, and nothing is counted twice.
//!
//! M1  Labels are names of job types and nodes only, both capped. Job types beyond the cap are
//!     summed under `_other`; nodes beyond it are only counted.

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::limits::{METRIC_NODES_MAX, METRIC_TYPES_MAX};
use super::state::ApiState;
use crate::decision::{WaitCounts, WaitReason};
use crate::engine::{DriverReport, FigureValue, JobTypeView, View};
use crate::load::StatusCounts;
use crate::model::{JobStatus, NodeResources};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The label of what is beyond a cap.
const OTHER: &str = "_other";

/// What a scrape shows.
#[derive(Debug)]
struct Scrape {
    view: Arc<View>,
    n_commits: u64,
    durable: u64,
    is_healthy: bool,
    uptime_s: f64,
    resident_bytes: Option<u64>,
    driver: Option<Arc<DriverReport>>,
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> Result<(), fmt::Error> {
    let gauge = ConstGauge::new(value);
    gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53, and a chart does not see the rest")]
fn float(count: u64) -> f64 {
    count as f64
}

fn of_status(counts: &StatusCounts, status: JobStatus) -> u64 {
    match status {
        JobStatus::Pending => counts.pending,
        JobStatus::Blocked => counts.blocked,
        JobStatus::Queued => counts.queued,
        JobStatus::Running => counts.running,
        JobStatus::Failed => counts.failed,
        JobStatus::Completed => counts.completed,
        JobStatus::Canceled => counts.canceled,
    }
}

/// Counts by the label of a job type, the rest summed up.
fn by_type<C: Default>(
    view: &View,
    counts_of: impl Fn(&JobTypeView) -> C,
    plus: impl Fn(C, &C) -> C,
) -> Vec<(String, C)> {
    let mut all = Vec::new();
    let mut rest = C::default();
    for (n, kind) in view.types.iter().enumerate() {
        let spec = &kind.job_type.spec;
        if n < METRIC_TYPES_MAX {
            all.push((format!("{}:{}", spec.name, spec.version), counts_of(kind)));
        } else {
            rest = plus(rest, &counts_of(kind));
        }
    }
    if view.types.len() > METRIC_TYPES_MAX {
        all.push((OTHER.to_owned(), rest));
    }
    all
}

impl Scrape {
    fn jobs(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let types = by_type(&self.view, |kind| kind.counts, |sum, more| sum.plus(more));
        let help = "Jobs by job type and status";
        let mut family = encoder.encode_descriptor("weighbridge_jobs", help, None, MetricType::Gauge)?;
        for (name, counts) in &types {
            for status in JobStatus::ALL {
                let labels = [("job_type", name.as_str()), ("status", status.as_str())];
                let gauge = ConstGauge::new(float(of_status(counts, status)));
                gauge.encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "Executions that wait for a node, by job type";
        let mut family =
            encoder.encode_descriptor("weighbridge_queue_depth", help, None, MetricType::Gauge)?;
        for (name, counts) in &types {
            let labels = [("job_type", name.as_str())];
            ConstGauge::new(float(counts.queued)).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn waiting(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Executions that wait for a node, by job type and by what keeps the first of their kind";
        let mut family = encoder.encode_descriptor("weighbridge_waiting", help, None, MetricType::Gauge)?;
        for (name, counts) in &by_type(&self.view, |kind| kind.waiting, WaitCounts::plus) {
            for reason in WaitReason::ALL {
                let labels = [("job_type", name.as_str()), ("reason", reason.as_str())];
                ConstGauge::new(float(counts.of(reason))).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn nodes(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        amounts: impl Fn(&crate::engine::NodeStatus) -> &NodeResources,
    ) -> Result<(), fmt::Error> {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for status in self.view.nodes.iter().take(METRIC_NODES_MAX) {
            for (resource, amount) in amounts(status).iter() {
                let labels = [("node", status.node.name.as_str()), ("resource", resource.as_str())];
                ConstGauge::new(amount.as_f64()).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn log(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let commits = ConstCounter::new(self.n_commits);
        let help = "Commits of the log since it was opened";
        let metric = encoder.encode_descriptor("weighbridge_log_commits", help, None, MetricType::Counter)?;
        commits.encode(metric)?;
        let healthy = f64::from(u8::from(self.is_healthy));
        gauge(encoder, "weighbridge_log_healthy", "1 while the log takes events", healthy)?;
        let durable = float(self.durable);
        gauge(encoder, "weighbridge_log_position", "Number of the newest event that is on disk", durable)
    }

    /// What a driver counted, under its own name.
    fn driver(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(report) = &self.driver else { return Ok(()) };
        let named = |name: &str| format!("weighbridge_{}_{name}", report.kind);
        let ready = f64::from(u8::from(report.is_ready));
        gauge(encoder, &named("ready"), "1 while it takes launches", ready)?;
        for figure in &report.figures {
            let name = named(figure.name);
            match &figure.value {
                FigureValue::Count(n) => {
                    let metric = encoder.encode_descriptor(&name, figure.help, None, MetricType::Counter)?;
                    ConstCounter::new(*n).encode(metric)?;
                }
                FigureValue::Level(n) => gauge(encoder, &name, figure.help, float(*n))?,
                FigureValue::Lengths(lengths) => {
                    let name = format!("{name}_seconds");
                    let mut before = 0;
                    let mut buckets: Vec<(f64, u64)> = lengths
                        .octaves()
                        .map(|(edge, n)| (edge.as_secs_f64(), n - std::mem::replace(&mut before, n)))
                        .collect();
                    buckets.push((f64::MAX, lengths.n() - before));
                    let mut metric =
                        encoder.encode_descriptor(&name, figure.help, None, MetricType::Histogram)?;
                    metric.encode_histogram::<NoLabelSet>(
                        lengths.sum().as_secs_f64(),
                        lengths.n(),
                        &buckets,
                        None,
                    )?;
                }
            }
        }
        Ok(())
    }

    fn process(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let info = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        let help = "What is running";
        info.encode(encoder.encode_descriptor("weighbridge_build", help, None, MetricType::Info)?)?;
        gauge(encoder, "weighbridge_uptime_seconds", "Time since the server started", self.uptime_s)?;
        match self.resident_bytes {
            Some(bytes) => gauge(encoder, "process_resident_memory_bytes", "Resident memory", float(bytes)),
            None => Ok(()),
        }
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let encoder = &mut encoder;
        let view = &self.view;
        self.jobs(encoder)?;
        self.waiting(encoder)?;
        gauge(encoder, "weighbridge_queue_lanes", "Lanes of the queue", float(view.n_lanes as u64))?;
        let running = float(view.n_running as u64);
        gauge(encoder, "weighbridge_running_executions", "Executions that run", running)?;
        gauge(encoder, "weighbridge_job_types", "Job types", float(view.types.len() as u64))?;
        gauge(encoder, "weighbridge_nodes", "Nodes that were seen", float(view.nodes.len() as u64))?;
        let (free, help) = ("weighbridge_node_resources_free", "What a node has free, by resource");
        self.nodes(encoder, free, help, |status| &status.node.free)?;
        let (capacity, help) = ("weighbridge_node_resources_capacity", "What a node has in all, by resource");
        self.nodes(encoder, capacity, help, |status| &status.node.total)?;
        self.log(encoder)?;
        let position = float(view.position.0);
        gauge(
            encoder,
            "weighbridge_view_position",
            "Number of the newest event these metrics show",
            position,
        )?;
        let epoch = f64::from(view.epoch.0);
        gauge(encoder, "weighbridge_epoch", "How often the store was opened", epoch)?;
        self.driver(encoder)?;
        self.process(encoder)
    }
}

/// Resident memory of this process, where the system tells.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// `GET /metrics`.
pub(super) async fn scrape(State(api): State<ApiState>) -> Response {
    let engine = api.engine();
    let scrape = Scrape {
        view: engine.view(),
        n_commits: engine.n_commits(),
        durable: engine.durable().0,
        is_healthy: engine.failure().is_none(),
        uptime_s: engine.now().since(api.started()).as_secs_f64(),
        resident_bytes: resident_bytes(),
        driver: engine.driver_report(),
    };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    encode(&mut text, &registry).expect("a string takes every text");
    ([(CONTENT_TYPE, OPENMETRICS)], text).into_response()
}
