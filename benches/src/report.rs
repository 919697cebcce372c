//! The report: a table for people and JSON for programs, both of medians over the rounds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::samples::Samples;
use reeve_bench::Spent;

/// Of a figure in which nothing is committed.
const NOTHING_WRITTEN: &str = "not applicable";

/// One measurement.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// Stable name.
    pub name: &'static str,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// Median latency in milliseconds, where there is one.
    pub p50: Option<f64>,
    /// 99th percentile in milliseconds.
    pub p99: Option<f64>,
    /// What is safe when an answer arrives.
    pub durability: String,
    /// CPU of all of Reeve's processes for each task, in microseconds. The load generator, which
    /// shares the machine, is not among them.
    pub cpu_us_each: Option<f64>,
    /// The same by process.
    pub cpu_us_by_process: BTreeMap<String, f64>,
    /// What PostgreSQL wrote ahead for each task, in bytes.
    pub wal_bytes_each: Option<f64>,
    /// What it is held against.
    pub target: &'static str,
}

impl Figure {
    /// A figure in which nothing is committed.
    pub fn new(name: &'static str, value: f64, unit: &'static str, target: &'static str) -> Self {
        Self {
            name,
            value,
            unit,
            p50: None,
            p99: None,
            durability: NOTHING_WRITTEN.to_owned(),
            cpu_us_each: None,
            cpu_us_by_process: BTreeMap::new(),
            wal_bytes_each: None,
            target,
        }
    }

    /// A figure of committed work.
    pub fn durable(self, durability: &str) -> Self {
        Self {
            durability: durability.to_owned(),
            ..self
        }
    }

    /// With the percentiles of its latencies.
    pub fn latencies(self, samples: &mut Samples) -> Self {
        Self {
            p50: Some(samples.percentile(0.5)),
            p99: Some(samples.percentile(0.99)),
            ..self
        }
    }

    /// With what it took, shared out among so many tasks.
    pub fn spent(self, spent: &Spent, tasks: usize) -> Self {
        let each = |value: f64| value / tasks as f64;
        let by_process = spent.cpu_seconds.iter();
        Self {
            cpu_us_each: Some(each(spent.cpu_seconds.values().sum::<f64>() * 1e6)),
            cpu_us_by_process: by_process
                .map(|(name, seconds)| (name.clone(), each(seconds * 1e6)))
                .collect(),
            wal_bytes_each: Some(each(spent.wal_bytes)),
            ..self
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    machine: String,
    rounds: usize,
    figures: &'a [Figure],
}

/// Collects the rounds.
pub struct Report {
    rounds: usize,
    load: String,
    measured: BTreeMap<&'static str, Vec<Figure>>,
}

impl Report {
    /// An empty report.
    pub fn new(rounds: usize) -> Self {
        Self {
            rounds,
            load: load(),
            measured: BTreeMap::new(),
        }
    }

    /// Adds one measurement.
    pub fn add(&mut self, figure: Figure) {
        self.measured.entry(figure.name).or_default().push(figure);
    }

    /// Writes the JSON and returns the table.
    pub fn finish(self, path: &Path) -> Result<String> {
        let figures: Vec<_> = self.measured.into_values().filter_map(medians).collect();
        let document = Document {
            machine: machine(&self.load),
            rounds: self.rounds,
            figures: &figures,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, serde_json::to_string_pretty(&document)?)?;
        table(&document, path)
    }
}

/// The median of each number by itself: the round with the median rate may have the worst latency.
fn medians(rounds: Vec<Figure>) -> Option<Figure> {
    let of = |number: &dyn Fn(&Figure) -> Option<f64>| {
        median(rounds.iter().filter_map(number).collect())
    };
    let first = rounds.first()?;
    let process = |name: &String| {
        let taken = of(&|figure| figure.cpu_us_by_process.get(name).copied());
        (name.clone(), taken.unwrap_or_default())
    };
    Some(Figure {
        value: of(&|figure| Some(figure.value))?,
        p50: of(&|figure| figure.p50),
        p99: of(&|figure| figure.p99),
        cpu_us_each: of(&|figure| figure.cpu_us_each),
        cpu_us_by_process: first.cpu_us_by_process.keys().map(process).collect(),
        wal_bytes_each: of(&|figure| figure.wal_bytes_each),
        ..first.clone()
    })
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn table(document: &Document<'_>, path: &Path) -> Result<String> {
    let mut text = String::new();
    writeln!(
        text,
        "machine: {}; median of {} rounds",
        document.machine, document.rounds
    )?;
    writeln!(
        text,
        "{:<18} {:>10} {:<8} {:>8} {:>8} {:>7} {:>6}  TARGET",
        "FIGURE", "VALUE", "UNIT", "P50 MS", "P99 MS", "CPU US", "WAL B"
    )?;
    for figure in document.figures {
        let number = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        writeln!(
            text,
            "{:<18} {:>10.1} {:<8} {:>8} {:>8} {:>7} {:>6}  {}",
            figure.name,
            figure.value,
            figure.unit,
            number(figure.p50, 2),
            number(figure.p99, 2),
            number(figure.cpu_us_each, 1),
            number(figure.wal_bytes_each, 0),
            figure.target
        )?;
        writeln!(text, "{:<18}   durability: {}", "", figure.durability)?;
        if !figure.cpu_us_by_process.is_empty() {
            writeln!(text, "{:<18}   CPU us: {}", "", shares(figure))?;
        }
    }
    writeln!(text, "written to {}", path.display())?;
    Ok(text)
}

fn shares(figure: &Figure) -> String {
    let shares = figure.cpu_us_by_process.iter();
    let shares = shares.filter(|(_, taken)| **taken >= 0.1);
    let shares: Vec<_> = shares
        .map(|(name, taken)| format!("{name} {taken:.1}"))
        .collect();
    shares.join(", ")
}

fn machine(load: &str) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!(
        "{cores} cores of {}, load {load} before",
        model.map_or("an unknown processor", |(_, name)| name)
    )
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace()
        .next()
        .unwrap_or("unknown")
        .to_owned()
}
