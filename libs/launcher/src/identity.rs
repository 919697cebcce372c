//! The user whom the servers run as.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Error;

/// Whom root drops to; nobody else needs to drop at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) user: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Identity {
    /// `None` unless this process is root's.
    pub(crate) fn choose() -> Result<Option<Self>, Error> {
        if !is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        // initdb looks its user up by name, so a bare number will not do.
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|user| parse(&users, user))
            .map(Some)
            .ok_or(Error::NoUser)
    }

    /// PostgreSQL insists on owning its data, so whoever made them goes on with them.
    pub(crate) fn owner_of(self, data: &Path) -> Self {
        match fs::metadata(data) {
            Ok(meta) if meta.uid() != 0 && meta.uid() != self.uid => {
                let user = format!("number {}", meta.uid());
                Self {
                    user,
                    uid: meta.uid(),
                    gid: meta.gid(),
                }
            }
            _ => self,
        }
    }

    /// Whether this user can enter `dir`.
    fn can_enter(&self, dir: &Path) -> bool {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "cd -- \"$1\"", "sh"])
            .arg(dir)
            .stderr(Stdio::null());
        run_as(&mut command, Some(self));
        command.status().is_ok_and(|status| status.success())
    }
}

/// Fails when `identity` cannot enter `dir`.
pub(crate) fn require_reach(identity: Option<&Identity>, dir: &Path) -> Result<(), Error> {
    match identity {
        Some(identity) if !identity.can_enter(dir) => Err(Error::Unreachable {
            user: identity.user.clone(),
            path: dir.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Makes `command` run as `identity`, in a folder that everybody may enter. The standard library
/// also clears the supplementary groups when root changes the user.
pub(crate) fn run_as(command: &mut Command, identity: Option<&Identity>) {
    command.current_dir("/");
    if let Some(identity) = identity {
        command.uid(identity.uid).gid(identity.gid);
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn parse(users: &str, user: &str) -> Option<Identity> {
    let line = users
        .lines()
        .find(|line| line.split(':').next() == Some(user))?;
    let mut fields = line.split(':').skip(2);
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    (uid != 0).then(|| Identity {
        user: user.to_owned(),
        uid,
        gid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/bash\n\
        nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\n\
        postgresql:x:7:7::/:/bin/sh\n";

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let nobody = Identity {
            user: "nobody".into(),
            uid: 65534,
            gid: 65533,
        };
        assert_eq!(parse(USERS, "nobody"), Some(nobody));
        assert_eq!(parse(USERS, "postgres"), None);
    }

    #[test]
    fn root_is_nobody_to_drop_to() {
        assert_eq!(parse(USERS, "root"), None);
    }
}
