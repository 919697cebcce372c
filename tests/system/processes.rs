//! Which processes there are, and who started whom.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

/// Processes by number, each with when it started, since numbers are used again.
pub type Processes = BTreeMap<u32, String>;

struct Row {
    parent: u32,
    started: String,
}

/// A process and all that descend from it.
pub fn tree(root: u32) -> Processes {
    let all = all();
    let belongs = |pid: u32| {
        let mut pid = pid;
        while pid != root {
            match all.get(&pid) {
                Some(row) => pid = row.parent,
                None => return false,
            }
        }
        true
    };
    all.iter()
        .filter(|(pid, _)| belongs(**pid))
        .map(|(pid, row)| (*pid, row.started.clone()))
        .collect()
}

/// Those that are still there.
pub fn alive(processes: &Processes) -> Vec<u32> {
    let all = all();
    let there =
        |pid: &u32, started: &String| all.get(pid).is_some_and(|row| row.started == *started);
    processes
        .iter()
        .filter(|(pid, started)| there(pid, started))
        .map(|(pid, _)| *pid)
        .collect()
}

/// Every process but those that have ended and whose end nobody has taken note of.
fn all() -> BTreeMap<u32, Row> {
    match fs::read_dir("/proc") {
        Ok(entries) => entries
            .filter_map(|entry| {
                let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
                Some((
                    pid,
                    from_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?,
                ))
            })
            .collect(),
        Err(_) => from_ps(),
    }
}

/// The name, which may hold anything, ends with the last parenthesis; state, parent and, as the
/// twentieth, the start follow.
fn from_stat(stat: &str) -> Option<Row> {
    let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
    (*fields.first()? != "Z").then_some(())?;
    Some(Row {
        parent: fields.get(1)?.parse().ok()?,
        started: (*fields.get(19)?).to_owned(),
    })
}

/// macOS has no /proc.
fn from_ps() -> BTreeMap<u32, Row> {
    let output = Command::new("ps")
        .args(["-A", "-o", "pid=,ppid=,stat=,lstart="])
        .output()
        .expect("ps runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = |line: &str| {
        let mut fields = line.split_whitespace();
        let (pid, parent) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (!fields.next()?.starts_with('Z')).then_some(())?;
        let started = fields.collect::<Vec<_>>().join(" ");
        Some((pid, Row { parent, started }))
    };
    text.lines().filter_map(row).collect()
}

#[test]
fn a_child_is_found_and_its_end_too() {
    let mut child = Command::new("sleep").arg("600").spawn().expect("sleep");
    let before = tree(std::process::id());
    assert!(before.contains_key(&child.id()));
    let only: Processes = before
        .into_iter()
        .filter(|(pid, _)| *pid == child.id())
        .collect();
    assert_eq!(alive(&only), [child.id()]);
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert!(alive(&only).is_empty());
}
