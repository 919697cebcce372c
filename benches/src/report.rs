//! The report: a table for people and JSON for programs, both of medians over the rounds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

/// What committed work means in these figures.
pub const DURABLE: &str = "fsync on, synchronous_commit on";

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
    pub durability: &'static str,
    /// CPU of all of Reeve's processes for each task, in microseconds.
    pub cpu_us_each: Option<f64>,
    /// What it is held against.
    pub target: &'static str,
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
    measured: BTreeMap<&'static str, Vec<Figure>>,
}

impl Report {
    /// An empty report.
    pub fn new(rounds: usize) -> Self {
        Self {
            rounds,
            measured: BTreeMap::new(),
        }
    }

    /// Adds one measurement.
    pub fn add(&mut self, figure: Figure) {
        self.measured.entry(figure.name).or_default().push(figure);
    }

    /// Writes the JSON and returns the table.
    pub fn finish(self, path: &Path) -> Result<String> {
        let figures: Vec<_> = self.measured.into_values().filter_map(median).collect();
        let document = Document {
            machine: machine(),
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

fn median(mut rounds: Vec<Figure>) -> Option<Figure> {
    rounds.sort_by(|a, b| a.value.total_cmp(&b.value));
    let middle = rounds.len() / 2;
    rounds.into_iter().nth(middle)
}

fn table(document: &Document<'_>, path: &Path) -> Result<String> {
    let mut text = String::new();
    writeln!(
        text,
        "machine: {}; median of {} rounds; {DURABLE}",
        document.machine, document.rounds
    )?;
    writeln!(
        text,
        "{:<22} {:>12} {:<8} {:>9} {:>9} {:>10}  TARGET",
        "FIGURE", "VALUE", "UNIT", "P50 MS", "P99 MS", "CPU US"
    )?;
    for figure in document.figures {
        let number = |value: Option<f64>| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
        };
        writeln!(
            text,
            "{:<22} {:>12.1} {:<8} {:>9} {:>9} {:>10}  {}",
            figure.name,
            figure.value,
            figure.unit,
            number(figure.p50),
            number(figure.p99),
            number(figure.cpu_us_each),
            figure.target
        )?;
    }
    writeln!(text, "written to {}", path.display())?;
    Ok(text)
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load
        .split_whitespace()
        .next()
        .unwrap_or("unknown")
        .to_owned();
    format!(
        "{cores} cores of {}, load {load}",
        model.map_or("an unknown processor", |(_, name)| name)
    )
}
