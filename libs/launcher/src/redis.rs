//! A private Redis or Valkey. It keeps nothing on disk: whatever Reeve puts there is rebuilt from
//! PostgreSQL.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::error::io_error;
use crate::identity::{Identity, require_reach};
use crate::place;
use crate::secrets::write_private;
use crate::supervisor::{Job, Supervised};
use crate::{Binaries, Error, free_port, require_free};

const WHAT: &str = "Redis";
const START_PATIENCE: Duration = Duration::from_secs(30);
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);
/// Another process may take a free port before Redis does.
const PORT_ATTEMPTS: u32 = 5;

/// A running Redis or Valkey.
#[derive(Debug)]
pub struct Redis {
    pub(crate) server: Supervised,
    port: u16,
    password: String,
}

/// What to start.
pub(crate) struct Plan<'a> {
    pub(crate) binaries: &'a Binaries,
    pub(crate) identity: Option<&'a Identity>,
    /// Its own folder, which holds the configuration; `log` is beside it.
    pub(crate) dir: &'a Path,
    pub(crate) log: &'a Path,
    pub(crate) password: &'a str,
    pub(crate) port: Option<u16>,
    pub(crate) keep: bool,
}

impl Redis {
    pub(crate) fn start(plan: &Plan<'_>) -> Result<Self, Error> {
        if let Some(bin) = plan.binaries.redis_server.parent() {
            require_reach(plan.identity, bin)?;
        }
        place::make_dir(plan.dir, 0o700)?;
        let mut attempts = 1;
        loop {
            let port = match plan.port {
                Some(port) => require_free(port, WHAT).map(|()| port)?,
                None => free_port().map_err(io_error("find a free port for", plan.dir))?,
            };
            match Self::launch(plan, port) {
                Err(Error::Failed { log, .. })
                    if plan.port.is_none()
                        && attempts < PORT_ATTEMPTS
                        && log.contains("Address already in use") =>
                {
                    attempts += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn launch(plan: &Plan<'_>, port: u16) -> Result<Self, Error> {
        place::make_dir(plan.dir, 0o700)?;
        let file = plan.dir.join("redis.conf");
        write_private(&file, &configuration(plan, port))?;
        place::give_all(plan.dir, plan.identity)?;
        let _ = std::fs::remove_file(plan.log);
        let job = Job {
            name: WHAT,
            program: &plan.binaries.redis_server,
            arguments: &[file.display().to_string()],
            stop_signal: "TERM",
            log: plan.log,
            remove: (!plan.keep).then_some(plan.dir),
        };
        let mut server = Supervised::spawn(&job, plan.identity)?;
        server.wait_ready(START_PATIENCE, || answers(port, plan.password))?;
        Ok(Self {
            server,
            port,
            password: plan.password.to_owned(),
        })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// Its URL, with the password.
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}/", self.password, self.port)
    }
}

/// A file rather than arguments, because everybody may read a process's arguments.
fn configuration(plan: &Plan<'_>, port: u16) -> String {
    format!(
        "bind 127.0.0.1\nport {port}\nrequirepass {}\ndir \"{}\"\nsave \"\"\nappendonly no\n\
         daemonize no\n",
        plan.password,
        plan.dir.display()
    )
}

/// Whether it is our server that answers, and not one that took the port first.
fn answers(port: u16, password: &str) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, ANSWER_PATIENCE) else {
        return false;
    };
    let mut answer = [0_u8; 12];
    stream.set_read_timeout(Some(ANSWER_PATIENCE)).is_ok()
        && stream
            .write_all(format!("AUTH {password}\r\nPING\r\n").as_bytes())
            .is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && &answer == b"+OK\r\n+PONG\r\n"
}
