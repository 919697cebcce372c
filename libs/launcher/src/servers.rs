//! The pair of servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::io_error;
use crate::identity::Identity;
use crate::secrets::Secrets;
use crate::supervisor::pause;
use crate::{Binaries, Error, Lock, Postgres, Redis, find, place, postgres, redis, require_free};

const MEBIBYTE: u64 = 1_048_576;
/// How long a port may stay taken after its server's end.
const PORT_PATIENCE: Duration = Duration::from_secs(10);

/// What to start and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data folder, made if need be. One starter at a time.
    pub data_dir: PathBuf,
    /// The Python environment that `scripts/setup.sh` makes where there are no packages.
    pub tools_dir: PathBuf,
    /// Whether the data is kept and safe after a crash. Otherwise PostgreSQL is fast and unsafe, and
    /// the folder is removed at the end.
    pub durable: bool,
    /// PostgreSQL's port; a free one by default.
    pub postgres_port: Option<u16>,
    /// Redis's port; a free one by default.
    pub redis_port: Option<u16>,
    /// A folder that keeps fresh clusters to copy, which saves throwaway servers initdb's seconds.
    pub template_dir: Option<PathBuf>,
    /// Bytes that must be free in the data folder.
    pub free_bytes: u64,
}

impl Options {
    /// Servers whose data is kept in `data_dir`.
    pub fn durable(data_dir: impl Into<PathBuf>, tools_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            tools_dir: tools_dir.into(),
            durable: true,
            postgres_port: None,
            redis_port: None,
            template_dir: None,
            free_bytes: 1_024 * MEBIBYTE,
        }
    }

    /// Servers for a test; `data_dir` vanishes with them.
    pub fn throwaway(data_dir: impl Into<PathBuf>, tools_dir: impl Into<PathBuf>) -> Self {
        Self {
            durable: false,
            free_bytes: 256 * MEBIBYTE,
            ..Self::durable(data_dir, tools_dir)
        }
    }
}

/// A running PostgreSQL and Redis. They stop when this is dropped, when [`PrivateServers::stop`]
/// is called, and when the process ends in whatever way.
#[derive(Debug)]
pub struct PrivateServers {
    postgres: Postgres,
    redis: Redis,
    site: Site,
    _locks: Vec<Lock>,
}

impl PrivateServers {
    /// Starts both and waits until they answer. Blocks for 0.1 to 10 seconds.
    ///
    /// # Errors
    /// When a server is not installed, a port is taken, the disk is full, another process has the
    /// folder, or a server does not come up. Nothing is left running then.
    pub fn start(options: &Options) -> Result<Self, Error> {
        let binaries = find(&options.tools_dir)?;
        let identity = Identity::choose()?;
        let mode = if options.durable { 0o755 } else { 0o700 };
        place::make_dir(&options.data_dir, mode)?;
        let mut locks = vec![Lock::take(&options.data_dir)?];
        let dir = place::reachable(&options.data_dir, identity.as_ref())?;
        if options.data_dir.canonicalize().ok().as_ref() != Some(&dir) {
            locks.push(Lock::take(&dir)?);
        }
        let identity = identity.map(|identity| identity.owner_of(&dir.join("postgres")));
        place::require_space(&dir, options.free_bytes)?;
        let site = Site {
            options: options.clone(),
            binaries,
            identity,
            dir,
        };
        let secrets = site.secrets()?;
        // The servers' user must be able to add and remove files here.
        place::give(&site.dir, site.identity.as_ref())?;
        let (postgres, redis) = thread::scope(|scope| {
            let redis = scope.spawn(|| site.start_redis(&secrets.redis, options.redis_port));
            let postgres = site.start_postgres(&secrets.postgres, options.postgres_port);
            (
                postgres,
                redis.join().expect("starting Redis does not panic"),
            )
        });
        Ok(Self {
            postgres: postgres?,
            redis: redis?,
            site,
            _locks: locks,
        })
    }

    /// PostgreSQL.
    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// Redis.
    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    /// Where the data and the logs are: the folder asked for, or a stand-in under /var/lib/reeve
    /// when root's substitute cannot reach that.
    pub fn dir(&self) -> &Path {
        &self.site.dir
    }

    /// Fails when a server has ended by itself; the error holds the end of its log.
    ///
    /// # Errors
    /// As said.
    pub fn check(&mut self) -> Result<(), Error> {
        self.postgres.server.check()?;
        self.redis.server.check()
    }

    /// Starts a server that has ended by itself again, on the port it had, and says how it ended.
    /// `None` while both run. Blocks as [`PrivateServers::start`] does.
    ///
    /// # Errors
    /// As [`PrivateServers::start`].
    pub fn revive(&mut self) -> Result<Option<Error>, Error> {
        if let Err(ended) = self.postgres.server.check() {
            let port = self.postgres.port();
            // Its shell has ended; this ends a server that lost it.
            let _ = self.postgres.server.stop();
            await_free(port);
            let password = self.postgres.password().to_owned();
            self.postgres = self.site.start_postgres(&password, Some(port))?;
            return Ok(Some(ended));
        }
        if let Err(ended) = self.redis.server.check() {
            let port = self.redis.port();
            let _ = self.redis.server.stop();
            await_free(port);
            let password = self.redis.password().to_owned();
            self.redis = self.site.start_redis(&password, Some(port))?;
            return Ok(Some(ended));
        }
        Ok(None)
    }

    /// Stops both and waits until they have ended.
    ///
    /// # Errors
    /// When the system does not say how they ended.
    pub fn stop(mut self) -> Result<(), Error> {
        let redis = self.redis.server.stop();
        self.postgres.server.stop().and(redis)
    }
}

/// Whoever needs the port finds out by itself when this was in vain.
fn await_free(port: u16) {
    let deadline = Instant::now() + PORT_PATIENCE;
    while require_free(port, "a server").is_err() && Instant::now() < deadline {
        pause(Duration::from_millis(50));
    }
}

/// The choices made, shared by all starts.
#[derive(Debug)]
struct Site {
    options: Options,
    binaries: Binaries,
    identity: Option<Identity>,
    dir: PathBuf,
}

impl Site {
    fn secrets(&self) -> Result<Secrets, Error> {
        let file = self.dir.join("secrets.json");
        match self.template() {
            Some(template) if template.is_dir() => self.copy_template(&template),
            _ => Secrets::read_or_create(&file),
        }
    }

    /// Two users of one checkout do not share a template, which neither could copy.
    fn template(&self) -> Option<PathBuf> {
        let parent = self.options.template_dir.as_ref()?;
        Some(parent.join(postgres::template_name(&self.binaries)))
    }

    /// A cluster carries its administrator's password, so that comes along.
    fn copy_template(&self, template: &Path) -> Result<Secrets, Error> {
        let data = self.postgres_data();
        place::copy(&template.join("postgres"), &data)?;
        place::give_all(&data, self.identity.as_ref())?;
        let file = self.dir.join("secrets.json");
        fs::copy(template.join("secrets.json"), &file).map_err(io_error("copy", &file))?;
        Secrets::read(&file)
    }

    /// Best effort: without a template the next start takes longer, that is all.
    fn keep_template(&self) {
        let Some(template) = self.template() else {
            return;
        };
        let unfinished = template.with_extension(format!("{}", std::process::id()));
        let copied = place::make_dir(&unfinished, 0o700)
            .and_then(|()| place::copy(&self.postgres_data(), &unfinished.join("postgres")))
            .is_ok()
            && fs::copy(
                self.dir.join("secrets.json"),
                unfinished.join("secrets.json"),
            )
            .is_ok();
        // Another process may have been first; then its template stays.
        if !copied || fs::rename(&unfinished, &template).is_err() {
            let _ = fs::remove_dir_all(&unfinished);
        }
    }

    fn postgres_data(&self) -> PathBuf {
        self.dir.join("postgres")
    }

    fn start_postgres(&self, password: &str, port: Option<u16>) -> Result<Postgres, Error> {
        let data = self.postgres_data();
        let plan = postgres::Plan {
            binaries: &self.binaries,
            identity: self.identity.as_ref(),
            data: &data,
            log: &self.dir.join("postgres.log"),
            password,
            port,
            durable: self.options.durable,
        };
        let fresh = !data.is_dir();
        postgres::prepare(&plan)?;
        if fresh {
            self.keep_template();
        }
        Postgres::start(&plan)
    }

    fn start_redis(&self, password: &str, port: Option<u16>) -> Result<Redis, Error> {
        Redis::start(&redis::Plan {
            binaries: &self.binaries,
            identity: self.identity.as_ref(),
            dir: &self.dir.join("redis"),
            log: &self.dir.join("redis.log"),
            password,
            port,
            keep: self.options.durable,
        })
    }
}
