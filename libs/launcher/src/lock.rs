//! One starter per data folder. The lock is the kernel's (`flock`), so it ends with its process and
//! can never be stale; the process id inside only tells people whom to look for.

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::Path;
use std::process;

use crate::Error;
use crate::error::io_error;

const FILE: &str = "lock";

/// Held while this process uses a folder.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the folder, or says which process has it.
    pub fn take(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(FILE);
        let mut file = open(&path).map_err(io_error("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::AlreadyRunning {
                    pid: pid_in(&path),
                    dir: dir.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(io_error("lock", &path)(source)),
        }
        let written = file
            .set_len(0)
            .and_then(|()| writeln!(file, "{}", process::id()));
        written.map_err(io_error("write", &path))?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would not do while a process that is being started, in another thread,
        // still has a copy of it.
        let _ = self.file.unlock();
    }
}

/// The process that uses `dir` now, if any.
pub fn holder(dir: &Path) -> Option<u32> {
    let path = dir.join(FILE);
    let file = File::open(&path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(pid_in(&path)),
        _ => None,
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    // Not truncated: until the lock is ours, the text belongs to its holder.
    File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
}

/// 0 in the instant before the holder has written its own.
fn pid_in(path: &Path) -> u32 {
    fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::tests::Scratch;

    #[test]
    fn the_second_starter_hears_who_was_first() {
        let scratch = Scratch::new();
        let first = Lock::take(scratch.path()).unwrap();
        let refused = Lock::take(scratch.path()).unwrap_err();
        assert!(matches!(refused, Error::AlreadyRunning { pid, .. } if pid == process::id()));
        assert_eq!(holder(scratch.path()), Some(process::id()));
        drop(first);
        assert_eq!(holder(scratch.path()), None);
        Lock::take(scratch.path()).expect("a lock left behind does not count");
    }

    #[test]
    fn a_lock_ends_even_where_its_file_is_still_open() {
        let scratch = Scratch::new();
        let lock = Lock::take(scratch.path()).unwrap();
        let _copy = lock.file.try_clone().unwrap();
        drop(lock);
        Lock::take(scratch.path()).unwrap();
    }
}
