//! A platform of one's own: `reeve up` in a temporary folder, on ports of its own.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::processes::{Processes, alive, tree};

/// The executable under test.
pub const REEVE: &str = env!("CARGO_BIN_EXE_reeve");
/// The root of the repository.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The services, as `reeve serve` names them.
pub const SERVICES: [&str; 5] = [
    "agent-registry",
    "task-queue",
    "workflow-engine",
    "finance",
    "incident",
];

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Offsets that no other platform of this process uses: beyond where `make up` goes, and below the
/// ports that the system gives to whoever asks for any.
static NEXT_OFFSET: AtomicU16 = AtomicU16::new(3_000);

/// A running `reeve up`; stopped when dropped.
pub struct Platform {
    child: Child,
    folder: TempDir,
}

impl Platform {
    /// Starts one and waits until it is ready.
    pub fn start() -> Self {
        Self::start_with(Path::new(REEVE))
    }

    /// The same with another file as the executable.
    pub fn start_with(program: &Path) -> Self {
        for _ in 0..20 {
            let folder = open_folder();
            let child = spawn(program, &folder, next_offset());
            // Owned before it is waited for, so that it ends with a test that waits in vain.
            let mut platform = Self { child, folder };
            if platform.wait_ready() {
                return platform;
            }
            eprintln!("{}", platform.said());
        }
        panic!("no platform came up");
    }

    fn wait_ready(&mut self) -> bool {
        let (services, env) = (self.home().join("services.json"), self.home().join("env"));
        eventually("the platform", || {
            let ended = self.child.try_wait().expect("its status").is_some();
            (ended || (services.exists() && env.exists())).then_some(!ended)
        })
    }

    /// What `reeve up` has printed.
    pub fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("up.log")).unwrap_or_default()
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

    /// Asks the platform to stop, and waits until none of its processes is left.
    pub fn stop(mut self) {
        let processes = tree(self.child.id());
        for service in SERVICES {
            assert!(processes.contains_key(&self.pid_of(service)), "{service}");
        }
        signal(self.child.id(), Signal::INT);
        let status = self.child.wait().expect("reeve up ends");
        assert!(
            status.success(),
            "reeve up ended with {status}:\n{}",
            self.said()
        );
        require_gone(&processes);
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        signal(self.child.id(), Signal::TERM);
        let _ = self.child.wait();
        if std::thread::panicking() {
            // Where to look, once the folder is gone.
            eprintln!("--- up\n{}", self.said());
            for name in SERVICES {
                let path = self.home().join(format!("logs/{name}.log"));
                let text = fs::read_to_string(path).unwrap_or_default();
                let last: Vec<_> = text.lines().rev().take(15).collect();
                eprintln!("--- {name}");
                last.iter().rev().for_each(|line| eprintln!("{line}"));
            }
        }
    }
}

/// A temporary folder that the servers' user can reach.
pub fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path(), open).expect("its owner may open it");
    folder
}

/// A --port-offset for one platform, at which every port was free a moment ago.
pub fn next_offset() -> u16 {
    // Two test processes at the same time begin at different places.
    let first = u16::try_from(std::process::id() % 500).expect("below 500") * 36;
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    (0..100)
        .map(|_| NEXT_OFFSET.fetch_add(10, Ordering::Relaxed) + first)
        .find(|offset| {
            (0..5).all(|index| free(7101 + offset + index) && free(9101 + offset + index))
        })
        .expect("free ports")
}

fn spawn(program: &Path, folder: &TempDir, offset: u16) -> Child {
    let log = fs::File::create(folder.path().join("up.log")).expect("a log");
    Command::new(program)
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

/// Sends a signal; a process that has ended is no error.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Waits until none of these processes is left.
pub fn require_gone(processes: &Processes) {
    eventually("everything to have ended", || {
        alive(processes).is_empty().then_some(())
    });
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
