//! The Reeve under test: `reeve up` with its own servers, whose durability is asked and not assumed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use sqlx::Connection as _;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use tempfile::TempDir;

/// Clock ticks of /proc/<pid>/stat in a second, which Linux fixes for user space.
const TICKS: f64 = 100.0;

/// A running platform; stopped when dropped.
pub struct Platform {
    child: Child,
    folder: TempDir,
    database: PgPool,
    /// From the start of the processes until all five were ready, servers and migrations included.
    pub ready_after: Duration,
    /// What an answer means: the settings of PostgreSQL and the file system below it.
    pub durability: String,
}

/// What a round took.
#[derive(Debug, Default)]
pub struct Spent {
    /// CPU seconds by process: a service, postgres, redis, and reeve for the supervisor.
    pub cpu_seconds: BTreeMap<String, f64>,
    /// Bytes of PostgreSQL's write-ahead log.
    pub wal_bytes: f64,
}

impl Platform {
    /// Starts one and waits until it is ready. Its data is below `folder`, on the disk that is to be
    /// measured.
    pub async fn start(reeve: &Path, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let folder = tempfile::Builder::new()
            .prefix("home-")
            .tempdir_in(folder)?;
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
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let ready_after = began.elapsed();
        let services = services(folder.path())?;
        let queue = services.get("task-queue").context("no task-queue runs")?;
        let url = environment(*queue)?
            .remove("REEVE_DATABASE__URL")
            .context("task-queue has no database")?;
        let pool = PgPoolOptions::new().max_connections(1);
        let database = pool.connect(&url).await?;
        let durability = durability(&database, child.id()).await?;
        Ok(Self {
            child,
            folder,
            database,
            ready_after,
            durability,
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

    /// A variable of task-queue's environment.
    pub fn queue_variable(&self, name: &str) -> Result<String> {
        let services = self.services()?;
        let queue = services.get("task-queue").context("no task-queue runs")?;
        environment(*queue)?
            .remove(name)
            .with_context(|| format!("task-queue has no {name}"))
    }

    /// Opens a transaction with a snapshot and leaves it open.
    pub async fn hold_transaction(&self) -> Result<Held> {
        let url = self.queue_variable("REEVE_DATABASE__URL")?;
        let mut connection = PgConnection::connect(&url).await?;
        sqlx::raw_sql("begin isolation level repeatable read; select count(*) from pg_class")
            .execute(&mut connection)
            .await?;
        Ok(Held(connection))
    }

    /// The processes of a name, for example "postgres", the oldest first.
    pub fn processes(&self, name: &str) -> Vec<u32> {
        let all = descendants(self.child.id()).into_iter();
        all.filter(|pid| name_of(*pid) == name).collect()
    }

    /// Name and process of each service.
    pub fn services(&self) -> Result<BTreeMap<String, u32>> {
        services(self.folder.path())
    }

    /// What it has taken since its start.
    async fn taken(&self) -> Result<Spent> {
        let services = self.services()?;
        let mut cpu_seconds = BTreeMap::<String, f64>::new();
        for pid in descendants(self.child.id()) {
            let service = services.iter().find(|(_, of)| **of == pid);
            let name = service.map_or_else(|| name_of(pid), |(name, _)| name.clone());
            *cpu_seconds.entry(name).or_default() += cpu_of(pid);
        }
        let wal = "select wal_bytes::float8 from pg_stat_wal";
        let wal_bytes = sqlx::query_scalar(wal).fetch_one(&self.database).await?;
        Ok(Spent {
            cpu_seconds,
            wal_bytes,
        })
    }

    /// What it has taken since its start, once it has come to rest.
    async fn at_rest(&self) -> Result<Spent> {
        let began = Instant::now();
        let mut before = self.taken().await?;
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.taken().await?;
            let total = |spent: &Spent| spent.cpu_seconds.values().sum::<f64>();
            if total(&now) - total(&before) < AT_REST * LOOK.as_secs_f64() {
                return Ok(now);
            }
            if began.elapsed() > REST_PATIENCE {
                bail!("the platform does not come to rest");
            }
            before = now;
        }
    }

    /// Begins to count what is spent.
    pub async fn meter(&self) -> Result<Meter<'_>> {
        Ok(Meter {
            platform: self,
            before: self.taken().await?,
        })
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

/// A transaction that is open.
pub struct Held(PgConnection);

impl Held {
    /// Ends it. Its server must not have given it up meanwhile.
    pub async fn end(mut self) -> Result<()> {
        sqlx::raw_sql("select count(*) from pg_class; commit")
            .execute(&mut self.0)
            .await?;
        Ok(())
    }
}

/// Looks at how busy the platform is, the share of a processor that it takes at rest, with its loops,
/// and how long it may take to come to rest.
const LOOK: Duration = Duration::from_secs(1);
const AT_REST: f64 = 0.08;
const REST_PATIENCE: Duration = Duration::from_secs(120);

/// What had been taken when a round began.
pub struct Meter<'a> {
    platform: &'a Platform,
    before: Spent,
}

impl Meter<'_> {
    /// What was spent since, once the platform has come to rest: what a task costs after its end, where
    /// its events are read, belongs to it and not to the next figure.
    pub async fn read(self) -> Result<Spent> {
        let mut spent = self.platform.at_rest().await?;
        for (name, seconds) in &mut spent.cpu_seconds {
            *seconds -= self.before.cpu_seconds.get(name).unwrap_or(&0.0);
        }
        spent.wal_bytes -= self.before.wal_bytes;
        Ok(spent)
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

fn services(folder: &Path) -> Result<BTreeMap<String, u32>> {
    let text = fs::read_to_string(folder.join("services.json"))?;
    let rows: Vec<Json> = serde_json::from_str(&text)?;
    let row = |row: &Json| {
        let pid = row["pid"]
            .as_u64()
            .and_then(|pid| u32::try_from(pid).ok())?;
        Some((row["name"].as_str()?.to_owned(), pid))
    };
    Ok(rows.iter().filter_map(row).collect())
}

/// The settings that decide what a commit means, and the file system that the data is on: fsync on a
/// file system in memory makes nothing durable.
async fn durability(database: &PgPool, root: u32) -> Result<String> {
    let mut settings = Vec::new();
    for name in ["fsync", "synchronous_commit", "full_page_writes"] {
        let value: String = sqlx::query_scalar("select current_setting($1)")
            .bind(name)
            .fetch_one(database)
            .await?;
        settings.push(format!("{name} {value}"));
    }
    // A server of PostgreSQL works in its data directory.
    let server = descendants(root)
        .into_iter()
        .find(|pid| name_of(*pid) == "postgres")
        .context("no PostgreSQL runs")?;
    let data = fs::read_link(format!("/proc/{server}/cwd"))?;
    let kind = file_system(&data).unwrap_or_else(|| "an unknown file system".to_owned());
    if ["tmpfs", "ramfs"].contains(&kind.as_str()) {
        bail!("{} is on {kind}: nothing there is durable", data.display());
    }
    Ok(format!("{} on {kind}", settings.join(", ")))
}

/// The type of the mount that holds a path: the one with the longest name.
fn file_system(path: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    mounts
        .filter(|(mounted, _)| path.starts_with(mounted))
        .max_by_key(|(mounted, _)| mounted.len())
        .map(|(_, kind)| kind.to_owned())
}

/// The environment that a process was started with.
pub fn environment(pid: u32) -> Result<BTreeMap<String, String>> {
    let bytes = fs::read(format!("/proc/{pid}/environ"))?;
    let text = String::from_utf8_lossy(&bytes);
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    Ok(pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

fn name_of(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    match name.trim() {
        "redis-server" | "valkey-server" => "redis".to_owned(),
        name => name.to_owned(),
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
