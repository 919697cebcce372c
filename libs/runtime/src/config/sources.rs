//! Where values come from, in the order in which they override each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use toml::Table;

use super::layers::Layers;

const PREFIX: &str = "REEVE_";

/// The file, the environment and the overrides to be laid over the defaults.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    file: Option<PathBuf>,
    environment: BTreeMap<String, String>,
    overrides: Vec<(String, String)>,
    /// Variables that are Reeve's and configure no service, unless one is misspelt.
    bystanders: Vec<String>,
    /// Variables with a value that is no text.
    unreadable: Vec<String>,
    pub(super) foreign: Vec<String>,
}

impl Sources {
    /// Nothing but the defaults.
    pub fn none() -> Self {
        Self::default()
    }

    /// The process's environment.
    pub fn process() -> Self {
        let mut sources = Self::default();
        // Other programs' variables may hold anything; they are none of ours.
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            match value.into_string() {
                Ok(value) => sources = sources.variable(name, value),
                Err(_) => sources.unreadable.push(name.to_owned()),
            }
        }
        sources
    }

    /// A TOML file over the defaults.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// An environment variable; one that does not configure a service is ignored.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        if name.starts_with(PREFIX) && name.contains("__") {
            self.environment.insert(name, value.into());
        } else if name.starts_with(PREFIX) {
            self.bystanders.push(name);
        }
        self
    }

    /// Sets a key over everything else, for example ("grpc.listen", "127.0.0.1:0").
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.overrides.push((key.into(), value.into()));
        self
    }

    /// The defaults of another service that reads the same file and environment: its keys are then
    /// not taken for mistakes.
    #[must_use]
    pub fn shared_with(mut self, defaults: &str) -> Self {
        self.foreign.push(defaults.to_owned());
        self
    }

    pub(super) fn apply(&self, layers: &mut Layers) {
        if let Some(path) = &self.file {
            let place = path.display().to_string();
            match fs::read_to_string(path).map_err(|error| error.to_string()) {
                Ok(text) => match text.parse::<Table>() {
                    Ok(table) => layers.lay(&table, &place),
                    Err(error) => {
                        let (at, what) = (position(&text, &error), error.message());
                        layers.problem(&format!("{place}: {at}"), what);
                    }
                },
                Err(error) => layers.problem(&place, &error),
            }
        }
        for (name, value) in &self.environment {
            self.apply_variable(layers, name, value);
        }
        for name in &self.unreadable {
            layers.problem(name, "its value is not UTF-8");
        }
        for name in &self.bystanders {
            layers.beware(name);
        }
        for (key, value) in &self.overrides {
            let path: Vec<_> = key.split('.').map(str::to_owned).collect();
            layers.set(&path, value, key);
        }
    }

    fn apply_variable(&self, layers: &mut Layers, name: &str, value: &str) {
        let path = |name: &str| -> Vec<String> {
            let bare = name.strip_prefix(PREFIX).unwrap_or(name);
            bare.to_ascii_lowercase()
                .split("__")
                .map(str::to_owned)
                .collect()
        };
        let of_file = name
            .strip_suffix("_FILE")
            .map(path)
            .filter(|inner| layers.knows(inner));
        match of_file {
            Some(inner) if !layers.knows(&path(name)) => match fs::read_to_string(value) {
                Ok(text) => layers.set(&inner, text.trim_end_matches(['\n', '\r']), name),
                Err(error) => layers.problem(name, &format!("cannot read {value}: {error}")),
            },
            _ => layers.set(&path(name), value, name),
        }
    }
}

/// Where a file is wrong. The error's own text would show the line, which may hold a secret.
fn position(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    format!("line {line}, column {column}")
}
