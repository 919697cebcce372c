//! The generated passwords.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::io_error;

/// What a client must present.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Secrets {
    pub(crate) postgres: String,
    pub(crate) redis: String,
}

impl Secrets {
    fn generate() -> Result<Self, Error> {
        Ok(Self {
            postgres: random_hex()?,
            redis: random_hex()?,
        })
    }

    /// Reads the file, or makes it.
    pub(crate) fn read_or_create(file: &Path) -> Result<Self, Error> {
        if file.exists() {
            return Self::read(file);
        }
        let secrets = Self::generate()?;
        secrets.write(file)?;
        Ok(secrets)
    }

    pub(crate) fn read(file: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(file).map_err(io_error("read", file))?;
        serde_json::from_str(&text).map_err(|error| io_error("parse", file)(error.into()))
    }

    pub(crate) fn write(&self, file: &Path) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self).expect("two strings always serialize");
        write_private(file, &text)
    }
}

/// Writes a file that nobody else may read, not even for an instant.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let _ = fs::remove_file(path);
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600);
    let file = options.open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(io_error("write", path))
}

/// 256 random bits. Hexadecimal, so that it needs no quoting in a URL, a file or SQL.
fn random_hex() -> Result<String, Error> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0_u8; 32];
    let read = File::open(source).and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(io_error("read", source))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::place::tests::Scratch;

    #[test]
    fn secrets_are_made_once_and_are_private() {
        let scratch = Scratch::new();
        let file = scratch.path().join("secrets.json");
        let first = Secrets::read_or_create(&file).unwrap();
        let second = Secrets::read_or_create(&file).unwrap();
        assert_eq!(first.postgres, second.postgres);
        assert_ne!(first.postgres, first.redis);
        assert_eq!(first.postgres.len(), 64);
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
