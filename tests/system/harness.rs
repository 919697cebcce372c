//! A platform of one's own: `reeve up` in a temporary folder, on ports of its own.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use tempfile::TempDir;

/// The executable under test.
pub const REEVE: &str = env!("CARGO_BIN_EXE_reeve");
/// The root of the repository.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Offsets that no other platform of this process uses, away from where `make up` goes first.
static NEXT_OFFSET: AtomicU16 = AtomicU16::new(20_000);

/// A running `reeve up`; stopped when dropped.
pub struct Platform {
    child: Child,
    folder: TempDir,
}

impl Platform {
    /// Starts one and waits until it is ready.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // The servers' user must reach it.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), open).expect("its owner may open it");
        for _ in 0..20 {
            let offset = NEXT_OFFSET.fetch_add(20, Ordering::Relaxed) + pick();
            let mut child = spawn(&folder, offset);
            if wait_ready(&mut child, &folder) {
                return Self { child, folder };
            }
        }
        panic!("no platform came up:\n{}", log(&folder));
    }

    /// The folder of `reeve up --home`.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// A folder for files of the test.
    pub fn scratch(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(&path).expect("a folder of the test");
        path
    }

    /// A value of the env file, for example `REEVE_TASK_QUEUE`.
    pub fn variable(&self, name: &str) -> String {
        let text = fs::read_to_string(self.home().join("env")).expect("the env file");
        let prefix = format!("export {name}=");
        let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
        line.unwrap_or_else(|| panic!("{name} is not in the env file"))
            .to_owned()
    }

    /// A command of the client, with this platform's key and addresses.
    pub fn reeve(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(REEVE);
        command.args(arguments).current_dir(ROOT);
        for name in [
            "REEVE_API_KEY",
            "REEVE_AGENT_REGISTRY",
            "REEVE_TASK_QUEUE",
            "REEVE_WORKFLOW_ENGINE",
            "REEVE_FINANCE",
            "REEVE_INCIDENT",
        ] {
            command.env(name, self.variable(name));
        }
        command
    }

    /// The JSON that a client verb prints.
    pub fn json(&self, arguments: &[&str]) -> Json {
        let output = self
            .reeve(arguments)
            .args(["--output", "json"])
            .output()
            .expect("reeve runs");
        assert!(
            output.status.success(),
            "reeve {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("reeve prints JSON")
    }

    /// The process that serves a service now.
    pub fn pid_of(&self, service: &str) -> u32 {
        let text = fs::read_to_string(self.home().join("services.json")).expect("services.json");
        let rows: Vec<Json> = serde_json::from_str(&text).expect("services.json is JSON");
        let row = rows
            .iter()
            .find(|row| row["name"] == service)
            .expect("the service runs");
        u32::try_from(row["pid"].as_u64().expect("a pid")).expect("a pid")
    }

    /// Kills a service's process at once.
    pub fn kill(&self, service: &str) {
        signal(self.pid_of(service), Signal::KILL);
    }

    /// Asks the platform to stop, and returns what is left of its processes.
    pub fn stop(mut self) -> Vec<u32> {
        let services = [
            "agent-registry",
            "task-queue",
            "workflow-engine",
            "finance",
            "incident",
        ];
        let pids: Vec<_> = services
            .iter()
            .map(|service| self.pid_of(service))
            .collect();
        signal(self.child.id(), Signal::INT);
        let status = self.child.wait().expect("reeve up ends");
        assert!(
            status.success(),
            "reeve up ended with {status}:\n{}",
            log(&self.folder)
        );
        pids.into_iter().filter(|pid| is_alive(*pid)).collect()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        signal(self.child.id(), Signal::TERM);
        let _ = self.child.wait();
        if std::thread::panicking() {
            // Where to look, once the folder is gone.
            for name in [
                "up",
                "task-queue",
                "workflow-engine",
                "finance",
                "incident",
                "agent-registry",
            ] {
                let path = self.home().join(format!("logs/{name}.log"));
                let text = fs::read_to_string(path).unwrap_or_default();
                let last: Vec<_> = text.lines().rev().take(15).collect();
                eprintln!("--- {name}");
                last.iter().rev().for_each(|line| eprintln!("{line}"));
            }
        }
    }
}

fn pick() -> u16 {
    // Two test processes at the same time begin at different places.
    u16::try_from(std::process::id() % 900).expect("below 900") * 20
}

fn spawn(folder: &TempDir, offset: u16) -> Child {
    let log = fs::File::create(folder.path().join("up.log")).expect("a log");
    Command::new(REEVE)
        .args(["up", "--port-offset", &offset.to_string()])
        .arg("--home")
        .arg(folder.path().join("home"))
        .current_dir(ROOT)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the log twice"))
        .stderr(log)
        .spawn()
        .expect("reeve starts")
}

fn wait_ready(child: &mut Child, folder: &TempDir) -> bool {
    let services = folder.path().join("home/services.json");
    let env = folder.path().join("home/env");
    eventually("the platform", || {
        let ended = child.try_wait().expect("its status").is_some();
        (ended || (services.exists() && env.exists())).then_some(!ended)
    })
}

fn log(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("up.log")).unwrap_or_default()
}

/// Sends a signal; a process that has ended is no error.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Whether a process is there and is not a zombie.
pub fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    !stat
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .starts_with('Z')
}

/// Asks until there is an answer.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}
