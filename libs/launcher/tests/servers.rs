//! Real servers, started and stopped in every way.

use std::env;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use reeve_launcher::{Error, Options, PrivateServers, holder};

const PATIENCE: Duration = Duration::from_secs(60);
/// Tells `starter` where to start.
const STARTER_DIR: &str = "REEVE_TEST_STARTER_DIR";

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.reeve/tools")
}

/// A name of its own for each test. Everybody can reach the system's folder for temporary files.
fn fresh_dir() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    env::temp_dir().join(format!("reeve-servers-{}-{number}", std::process::id()))
}

fn throwaway(dir: &Path) -> Options {
    let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clusters");
    Options {
        template_dir: Some(template),
        ..Options::throwaway(dir, tools())
    }
}

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[expect(clippy::disallowed_methods, reason = "there is no runtime here")]
fn pause() {
    thread::sleep(Duration::from_millis(20));
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        pause();
    }
}

#[test]
fn throwaway_servers_vanish_when_they_are_stopped() {
    let dir = fresh_dir();
    let mut servers = PrivateServers::start(&throwaway(&dir)).unwrap();
    servers.check().unwrap();
    let ports = [servers.postgres().port(), servers.redis().port()];
    assert!(ports.into_iter().all(listens));
    servers.stop().unwrap();
    assert!(!ports.into_iter().any(listens));
    assert!(!dir.exists());
}

#[test]
fn a_second_start_says_who_is_there() {
    let dir = fresh_dir();
    let servers = PrivateServers::start(&throwaway(&dir)).unwrap();
    let error = PrivateServers::start(&throwaway(&dir)).unwrap_err();
    let me = std::process::id();
    assert!(
        matches!(error, Error::AlreadyRunning { pid, .. } if pid == me),
        "{error}"
    );
    assert_eq!(holder(&dir), Some(me));
    assert!(listens(servers.postgres().port()), "the first goes on");
    servers.stop().unwrap();
}

#[test]
fn durable_servers_keep_their_data_and_passwords() {
    let dir = fresh_dir();
    let options = Options::durable(&dir, tools());
    let first = PrivateServers::start(&options).unwrap();
    let password = first.postgres().password().to_owned();
    first.stop().unwrap();
    let second = PrivateServers::start(&options).unwrap();
    assert_eq!(second.postgres().password(), password);
    second.stop().unwrap();
    assert!(dir.join("postgres/PG_VERSION").exists());
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_taken_port_is_named_and_nothing_is_left_running() {
    let owner = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = owner.local_addr().unwrap().port();
    let dir = fresh_dir();
    let options = Options {
        redis_port: Some(port),
        ..throwaway(&dir)
    };
    let error = PrivateServers::start(&options).unwrap_err();
    assert!(
        matches!(error, Error::PortTaken { port: taken, .. } if taken == port),
        "{error}"
    );
    assert_eq!(holder(&dir), None);
    assert!(!dir.join("postgres/postmaster.pid").exists());
    let _ = fs::remove_dir_all(&dir);
}

#[test]
fn servers_end_with_a_starter_that_is_killed() {
    let dir = fresh_dir();
    let (mut starter, ports) = start_elsewhere(&dir);
    starter.kill().unwrap();
    starter.wait().unwrap();
    until("both ports closed", || !ports.iter().copied().any(listens));
    until("the folder removed", || !dir.exists());
}

#[test]
fn a_killed_starter_leaves_the_folder_to_the_next() {
    let dir = fresh_dir();
    let options = Options::durable(&dir, tools());
    PrivateServers::start(&options).unwrap().stop().unwrap();
    let (mut starter, _) = start_elsewhere(&dir);
    let error = PrivateServers::start(&options).unwrap_err();
    assert!(
        matches!(error, Error::AlreadyRunning { pid, .. } if pid == starter.id()),
        "{error}"
    );
    starter.kill().unwrap();
    starter.wait().unwrap();
    // At once: the first PostgreSQL may still be on its way out.
    PrivateServers::start(&options).unwrap().stop().unwrap();
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_server_whose_supervisor_is_killed_too_does_not_stand_in_the_way() {
    let dir = fresh_dir();
    let (mut starter, ports) = start_elsewhere(&dir);
    shell(&format!("kill -KILL {}", parent_of(&postmaster(&dir))));
    starter.kill().unwrap();
    starter.wait().unwrap();
    PrivateServers::start(&Options::durable(&dir, tools()))
        .unwrap()
        .stop()
        .unwrap();
    assert!(!listens(ports[0]));
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_server_that_ends_by_itself_is_noticed() {
    let dir = fresh_dir();
    let mut servers = PrivateServers::start(&throwaway(&dir)).unwrap();
    shell(&format!("kill -QUIT {}", postmaster(&dir)));
    until("the end noticed", || servers.check().is_err());
    let error = servers.check().unwrap_err().to_string();
    assert!(
        error.contains("PostgreSQL did not start") || error.contains("PostgreSQL"),
        "{error}"
    );
    let redis = servers.redis().port();
    servers.stop().unwrap();
    assert!(!listens(redis));
    let _ = fs::remove_dir_all(&dir);
}

#[test]
fn servers_that_ended_by_themselves_are_started_again_where_they_were() {
    let dir = fresh_dir();
    let mut servers = PrivateServers::start(&throwaway(&dir)).unwrap();
    assert!(servers.revive().unwrap().is_none(), "both run");
    let ports = [servers.postgres().port(), servers.redis().port()];
    for signal in ["QUIT", "KILL"] {
        let before = postmaster(&dir);
        shell(&format!("kill -{signal} {before}"));
        until("the end noticed", || servers.check().is_err());
        let ended = servers.revive().unwrap().unwrap().to_string();
        assert!(ended.contains("PostgreSQL ended by itself"), "{ended}");
        assert_ne!(postmaster(&dir), before);
        assert!(servers.revive().unwrap().is_none());
    }
    shut_down(&servers.redis().url());
    until("the end noticed", || servers.check().is_err());
    let ended = servers.revive().unwrap().unwrap().to_string();
    assert!(ended.contains("Redis ended by itself"), "{ended}");
    assert_eq!([servers.postgres().port(), servers.redis().port()], ports);
    assert!(ports.into_iter().all(listens));
    servers.stop().unwrap();
    let _ = fs::remove_dir_all(&dir);
}

#[test]
fn a_purge_removes_what_durable_servers_kept() {
    let dir = fresh_dir();
    let servers = PrivateServers::start(&Options::durable(&dir, tools())).unwrap();
    let kept = servers.dir().to_owned();
    assert!(matches!(
        reeve_launcher::purge(&dir),
        Err(Error::AlreadyRunning { .. })
    ));
    servers.stop().unwrap();
    reeve_launcher::purge(&dir).unwrap();
    assert!(!dir.exists() && !kept.exists());
}

/// Tells a Redis to end.
fn shut_down(url: &str) {
    let (password, address) = url
        .strip_prefix("redis://:")
        .and_then(|rest| rest.trim_end_matches('/').split_once('@'))
        .unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let commands = format!("AUTH {password}\r\nSHUTDOWN NOSAVE\r\n");
    stream.write_all(commands.as_bytes()).unwrap();
}

/// The process that serves a folder.
fn postmaster(dir: &Path) -> String {
    let file = fs::read_to_string(dir.join("postgres/postmaster.pid")).unwrap();
    file.lines().next().unwrap().to_owned()
}

fn parent_of(pid: &str) -> String {
    // A bare container has no ps, and macOS has no /proc.
    let found = "sed -n 's/^PPid:[^0-9]*//p' /proc/$0/status 2>/dev/null || ps -o ppid= -p $0";
    let output = Command::new("/bin/sh")
        .args(["-c", found, pid])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn shell(command: &str) {
    assert!(
        Command::new("/bin/sh")
            .args(["-c", command])
            .status()
            .unwrap()
            .success()
    );
}

/// Starts servers from another process, which then waits to be killed.
fn start_elsewhere(dir: &Path) -> (Child, Vec<u16>) {
    let ports_file = dir.with_extension("ports");
    let starter = Command::new(env::current_exe().unwrap())
        .args(["--exact", "starter", "--ignored"])
        .env(STARTER_DIR, dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut ports = Vec::new();
    until("the starter's ports", || {
        let text = fs::read_to_string(&ports_file).unwrap_or_default();
        ports = text
            .split_whitespace()
            .map(|port| port.parse().unwrap())
            .collect();
        ports.len() == 2
    });
    fs::remove_file(&ports_file).unwrap();
    assert!(ports.iter().copied().all(listens));
    (starter, ports)
}

/// Not a test: the process that `start_elsewhere` starts.
#[test]
#[ignore = "the other process of the tests that kill a starter"]
fn starter() {
    let Some(dir) = env::var_os(STARTER_DIR).map(PathBuf::from) else {
        return;
    };
    // Whoever made the folder before wants it kept.
    let options = if dir.exists() {
        Options::durable(&dir, tools())
    } else {
        throwaway(&dir)
    };
    let servers = PrivateServers::start(&options).unwrap();
    let text = format!("{} {}", servers.postgres().port(), servers.redis().port());
    let unfinished = dir.with_extension("unfinished");
    fs::write(&unfinished, text).unwrap();
    fs::rename(&unfinished, dir.with_extension("ports")).unwrap();
    // Until it is killed; the end of the test's own process ends it too.
    let _ = std::io::stdin().read_line(&mut String::new());
}
