//! Applying an approved artifact: to a folder, since the demo has no cluster.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value as Json, json};

use super::{Done, Words, say, text};

/// Writes `artifact` into `directory` under its file's name. Doing it again changes nothing.
pub fn run(parameters: &Json) -> Result<Done> {
    let directory = Path::new(text(parameters, "directory")?);
    let artifact = &parameters["artifact"];
    let (path, content) = (text(artifact, "path")?, text(artifact, "content")?);
    let name = Path::new(path)
        .file_name()
        .context("the artifact has no file name")?;
    std::fs::create_dir_all(directory)?;
    say(50, "writing");
    let target = directory.join(name);
    let unfinished = target.with_extension("new");
    std::fs::write(&unfinished, content)?;
    std::fs::rename(&unfinished, &target)?;
    let words = Words::of(content, "");
    Ok(Done::Result(
        json!({"applied": target, "bytes": content.len()}),
        words,
    ))
}
