//! The Reeve under test: `reeve up` with its own durable servers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use tempfile::TempDir;

/// Clock ticks of /proc/<pid>/stat in a second, which Linux fixes for user space.
const TICKS: f64 = 100.0;

/// A running platform; stopped when dropped.
pub struct Platform {
    child: Child,
    folder: TempDir,
    /// From the start of the processes until all five were ready, servers and migrations included.
    pub ready_after: Duration,
}

impl Platform {
    /// Starts one and waits until it is ready.
    pub fn start(reeve: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("reeve-bench").tempdir()?;
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), open)?;
        let log = fs::File::create(folder.path().join("up.log"))?;
        let began = Instant::now();
        let mut child = Command::new(reeve)
            .arg("up")
            .arg("--home")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        while !folder.path().join("services.json").exists() {
            if child.try_wait()?.is_some() || began.elapsed() > Duration::from_secs(120) {
                bail!(
                    "{}",
                    fs::read_to_string(folder.path().join("up.log")).unwrap_or_default()
                );
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Ok(Self {
            child,
            folder,
            ready_after: began.elapsed(),
        })
    }

    /// A value of the env file.
    pub fn variable(&self, name: &str) -> Result<String> {
        let text = fs::read_to_string(self.folder.path().join("env"))?;
        let prefix = format!("export {name}=");
        let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
        line.map(str::to_owned)
            .with_context(|| format!("{name} is not in the env file"))
    }

    /// Name and process of each service.
    pub fn services(&self) -> Result<BTreeMap<String, u32>> {
        let text = fs::read_to_string(self.folder.path().join("services.json"))?;
        let rows: Vec<Json> = serde_json::from_str(&text)?;
        let row = |row: &Json| {
            let pid = row["pid"]
                .as_u64()
                .and_then(|pid| u32::try_from(pid).ok())?;
            Some((row["name"].as_str()?.to_owned(), pid))
        };
        Ok(rows.iter().filter_map(row).collect())
    }

    /// CPU seconds that all of Reeve's processes have used: services, PostgreSQL and Redis.
    pub fn cpu_seconds(&self) -> f64 {
        let descendants = descendants(self.child.id());
        descendants.iter().map(|pid| cpu_of(*pid)).sum()
    }

    /// Resident memory of a process in MiB.
    pub fn memory_mib(pid: u32) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
        Some(kib / 1_024.0)
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// Every process that has `root` among its ancestors.
fn descendants(root: u32) -> Vec<u32> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        if let Some(parent) = stat(pid).and_then(|fields| fields.get(1)?.parse::<u32>().ok()) {
            parents.insert(pid, parent);
        }
    }
    let belongs = |mut pid: u32| {
        while let Some(parent) = parents.get(&pid) {
            if *parent == root {
                return true;
            }
            pid = *parent;
        }
        false
    };
    parents
        .keys()
        .copied()
        .filter(|pid| belongs(*pid))
        .collect()
}

/// User and system time, of children that have ended too: PostgreSQL's back ends come and go.
fn cpu_of(pid: u32) -> f64 {
    let fields = stat(pid).unwrap_or_default();
    let ticks = fields.get(11..15).unwrap_or_default();
    ticks
        .iter()
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / TICKS
}

/// The fields of /proc/<pid>/stat after the name, which may hold spaces.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = text.rsplit_once(") ")?.1;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}
