//! The folder where `reeve up` keeps what belongs to one checkout, `.reeve` by default.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rand::RngCore as _;
use reeve_auth::ApiKey;
use serde::{Deserialize, Serialize};

/// Name of the folder, looked for from the current one upwards.
pub const FOLDER: &str = ".reeve";

/// Names another folder to use in its place.
pub const VARIABLE: &str = "REEVE_HOME";

/// An existing folder with an absolute path.
#[derive(Debug, Clone)]
pub struct Home(PathBuf);

impl Home {
    /// Opens the folder, making it if need be.
    pub fn open(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path.canonicalize()?))
    }

    /// The folder that `REEVE_HOME` names or, without it, the nearest one called `.reeve`.
    pub fn find() -> Option<Self> {
        match std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
            Some(named) => Some(PathBuf::from(named))
                .filter(|path| path.is_dir())
                .map(Self),
            None => nearest(|_| true).map(Self),
        }
    }

    /// A path inside.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Data of the private servers.
    pub fn servers(&self) -> PathBuf {
        self.join("servers")
    }

    /// What `scripts/setup.sh` installs where there are no packages. It belongs to the checkout,
    /// whichever home is used.
    pub fn tools(&self) -> PathBuf {
        let own = self.join("tools");
        if own.is_dir() {
            return own;
        }
        nearest(|folder| folder.join("tools").is_dir()).map_or(own, |folder| folder.join("tools"))
    }

    /// What a client needs, ready to be sourced.
    pub fn env_file(&self) -> PathBuf {
        self.join("env")
    }

    /// Which process serves what.
    pub fn services_file(&self) -> PathBuf {
        self.join("services.json")
    }

    /// Log of one service.
    pub fn log(&self, service: &str) -> Result<PathBuf> {
        let folder = self.join("logs");
        fs::create_dir_all(&folder)?;
        Ok(folder.join(format!("{service}.log")))
    }
}

/// The nearest `.reeve`, from the current folder upwards, that will do.
fn nearest(will_do: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors()
        .map(|up| up.join(FOLDER))
        .find(|path| path.is_dir() && will_do(path))
}

/// Secrets that are made once and kept, so that an API key survives a restart.
#[derive(Serialize, Deserialize)]
pub struct Secrets {
    /// Password of every app role.
    pub app_password: String,
    /// Signs service tokens.
    pub service_token_secret: String,
    /// Mixed into every stored API key hash.
    pub api_key_pepper: String,
    /// The administrator's API key.
    pub admin_key: String,
}

impl Secrets {
    /// Reads the secrets of a home, making them the first time.
    pub fn load(home: &Home) -> Result<Self> {
        let path = home.join("secrets.json");
        if path.exists() {
            let text = fs::read_to_string(&path)?;
            return serde_json::from_str(&text).with_context(|| {
                format!(
                    "{} is damaged; remove it and {}",
                    path.display(),
                    home.servers().display()
                )
            });
        }
        let secrets = Self {
            app_password: random(),
            service_token_secret: random(),
            api_key_pepper: random(),
            admin_key: ApiKey::generate().reveal(),
        };
        write_private(&path, &serde_json::to_string_pretty(&secrets)?)?;
        Ok(secrets)
    }
}

fn random() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

/// Writes a file that only its owner can read, replacing it at once.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    let unfinished = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .with_context(|| format!("cannot write {}", unfinished.display()))?;
    // The mode above counts only for a file that is new.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path).with_context(|| format!("cannot write {}", path.display()))
}
