//! What one run found, for programs and for people.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::batches::Means;
use super::figures::{Figures, rounded};
use super::ours::Fills;
use super::peers::Peer;
use super::producer::Beside;
use super::steady::Shown;
use super::turn::Turn;

/// See the file.
pub(crate) struct Report {
    pub(crate) queued: usize,
    pub(crate) workload: &'static str,
    pub(crate) n_lanes: usize,
    pub(crate) n_lanes_open: usize,
    pub(crate) n_offers: usize,
    pub(crate) shown: Shown,
    pub(crate) fills: Fills,
    pub(crate) means: Means,
    /// Decisions of `cross` over more different offers.
    pub(crate) cross_many: Option<Figures>,
    pub(crate) beside: Beside,
    pub(crate) turn: Turn,
    pub(crate) index_bytes_per_entry: f64,
    pub(crate) bytes_per_entry: f64,
    pub(crate) rss_bytes_per_entry: Option<f64>,
    /// Parts of the run whose time was up before they were done.
    pub(crate) capped: Vec<&'static str>,
    pub(crate) peers: Vec<Peer>,
}

impl Report {
    fn latencies(&self) -> [(&'static str, &'static str, Option<&Figures>); 11] {
        let shown = &self.shown;
        [
            ("decide_ns", "decide", Some(&shown.decide)),
            ("decide_found_ns", "  found something", Some(&shown.decide_found)),
            ("decide_none_ns", "  nothing fits", Some(&shown.decide_none)),
            ("cross_many_ns", "  4,096 offers", self.cross_many.as_ref()),
            ("take_ns", "decide and take", Some(&shown.take)),
            ("launch_ns", "launch and end", Some(&shown.launch)),
            ("fill_ns_per_pick", "fill, per pick", Some(&self.fills.fill)),
            ("fill_ns", "fill, whole node", Some(&self.fills.nodes)),
            ("put_back_ns", "put back, per pick", Some(&self.fills.put_back)),
            ("enqueue_ns", "enqueue", Some(&shown.enqueue)),
            ("cancel_ns", "cancel", Some(&shown.cancel)),
        ]
    }

    fn batch_means(&self) -> [(&'static str, &'static str, f64); 6] {
        [
            ("decide_batch_mean_ns", "decide", self.means.decide),
            ("decide_none_batch_mean_ns", "nothing fits", self.means.decide_none),
            ("take_batch_mean_ns", "decide and take", self.means.take),
            ("launch_batch_mean_ns", "launch and end", self.means.launch),
            ("enqueue_batch_mean_ns", "enqueue", self.means.enqueue),
            ("cancel_batch_mean_ns", "cancel", self.means.cancel),
        ]
    }

    pub(crate) fn json(&self) -> Value {
        let mut all = Map::new();
        let mut put = |name: &str, value: Value| all.insert(name.into(), value);
        put("queued", json!(self.queued));
        put("workload", json!(self.workload));
        put("lanes", json!(self.n_lanes));
        put("lanes_open", json!(self.n_lanes_open));
        put("offers", json!(self.n_offers));
        put("head_share", json!(rounded(self.shown.head_share(), 1e4)));
        put("none_share", json!(rounded(self.shown.none_share(), 1e4)));
        for (name, _, figures) in self.latencies() {
            if let Some(figures) = figures {
                put(name, figures.json());
            }
        }
        for (name, _, mean) in self.batch_means() {
            put(name, json!(rounded(mean, 10.0)));
        }
        put("index_bytes_per_entry", json!(rounded(self.index_bytes_per_entry, 10.0)));
        put("bytes_per_entry", json!(rounded(self.bytes_per_entry, 10.0)));
        put("rss_bytes_per_entry", json!(self.rss_bytes_per_entry.map(|bytes| rounded(bytes, 10.0))));
        put("with_producer_ratio", json!(rounded(self.beside.ratio, 1e3)));
        put("produced_share", json!(rounded(self.beside.produced_share, 1e3)));
        put("turn_ms", json!(rounded(self.turn.whole.as_secs_f64() * 1e3, 1e3)));
        put("turn_slice_max_ms", json!(rounded(self.turn.longest_slice.as_secs_f64() * 1e3, 1e3)));
        put("rounds", json!(self.shown.n_rounds));
        put("answers", json!(format!("{:016x}", self.shown.hash())));
        put("capped_by_time", json!(self.capped));
        let peers = self.peers.iter().map(|peer| (peer.name.to_owned(), peer.json(&self.shown)));
        put("peers", Value::Object(peers.collect()));
        all.into()
    }

    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "{} queued, {}, {} lanes of which {} may move, {} different offers\n\
             {:.1} % of decisions are answered by the head of the queue, {:.1} % find nothing\n\n",
            self.queued,
            self.workload,
            self.n_lanes,
            self.n_lanes_open,
            self.n_offers,
            self.shown.head_share() * 100.0,
            self.shown.none_share() * 100.0
        );
        let header = ["mean", "p50", "p99", "p99.9", "calls"];
        text += &row("ns", header.map(str::to_owned));
        for (_, label, figures) in self.latencies() {
            if let Some(figures) = figures.filter(|figures| !figures.is_empty()) {
                text += &row(label, cells(&figures.json()));
            }
        }
        text += "\nmeans over batches without a clock in between, ns:";
        for (_, label, mean) in self.batch_means().into_iter().filter(|(.., mean)| mean.is_finite()) {
            let _ = write!(text, " {label} {mean:.1};");
        }
        let _ = write!(
            text,
            "\nbytes per entry: {:.1} in the index, {:.1} with the look-up by id",
            self.index_bytes_per_entry, self.bytes_per_entry
        );
        if let Some(rss) = self.rss_bytes_per_entry {
            let _ = write!(text, "; the process grew by {rss:.1}");
        }
        let Beside { ratio, produced_share } = self.beside;
        let percent = produced_share * 100.0;
        let _ = writeln!(
            text,
            "\nwith a producer of {percent:.0} % of arrivals: {ratio:.2} of the decider alone"
        );
        let _ = writeln!(
            text,
            "switching all lanes between FIFO and LIFO: {:.2?} in all, {:.2?} in the longest slice",
            self.turn.whole, self.turn.longest_slice
        );
        for peer in &self.peers {
            text += &self.peer(peer);
        }
        if !self.capped.is_empty() {
            let _ = writeln!(text, "time was up before the end of: {}", self.capped.join(", "));
        }
        text
    }

    fn peer(&self, peer: &Peer) -> String {
        let of = peer.json(&self.shown);
        let mut text = format!("\n{}, {} rounds with the same answers\n", peer.name, peer.shown.n_rounds);
        let rows = [
            ("decide", "decide_ns"),
            ("  nothing fits", "decide_none_ns"),
            ("decide and take", "take_ns"),
            ("enqueue", "enqueue_ns"),
            ("cancel", "cancel_ns"),
        ];
        for (label, name) in rows {
            text += row(label, cells(&of[name])).trim_end();
            match of["ratio_to_us"][name].as_f64() {
                Some(ratio) => _ = writeln!(text, "   {ratio:.2} x our mean"),
                None => text += "\n",
            }
        }
        text
    }
}

fn cells(figures: &Value) -> [String; 5] {
    ["mean", "p50", "p99", "p999", "n"].map(|key| match &figures[key] {
        Value::Null => "-".to_owned(),
        number => number.to_string(),
    })
}

fn row(label: &str, cells: [String; 5]) -> String {
    let [mean, p50, p99, p999, n] = cells;
    format!("{label:<19}{mean:>14}{p50:>12}{p99:>12}{p999:>12}{n:>9}\n")
}
