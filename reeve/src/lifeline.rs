//! What holds a process that another one started: standard input is a pipe whose writing end its
//! supervisor keeps, and the kernel closes that end however the supervisor ends.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustix::process::{Signal, getpid, kill_process};

/// Has this process hear SIGTERM once standard input closes.
pub fn follow() {
    // A thread and not a task: a read that blocks must not hold up the end of the runtime.
    std::thread::spawn(|| {
        let mut discarded = [0; 64];
        while std::io::stdin()
            .read(&mut discarded)
            .is_ok_and(|read| read > 0)
        {}
        // It fails for no process's own number.
        let _ = kill_process(getpid(), Signal::TERM);
    });
}

/// This program, for starting it again. A build may have replaced its file meanwhile; Linux then
/// still has the one that runs, so that every process of a platform is of one build.
pub fn program() -> std::io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    let running = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    Ok(choose(path, &running))
}

fn choose(path: PathBuf, running: &Path) -> PathBuf {
    if path.exists() || !running.exists() {
        return path;
    }
    running.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_whose_file_is_gone_is_found_where_it_runs() {
        let folder = tempfile::tempdir().unwrap();
        let (file, running) = (folder.path().join("reeve"), folder.path().join("exe"));
        std::fs::write(&running, "").unwrap();
        assert_eq!(choose(file.clone(), &running), running);
        std::fs::write(&file, "").unwrap();
        assert_eq!(choose(file.clone(), &running), file);
        let nowhere = folder.path().join("nowhere");
        assert_eq!(choose(nowhere.clone(), &nowhere), nowhere);
    }
}
