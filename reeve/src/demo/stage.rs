//! What the demo shows: titles, lines, and at the end a table of what happened.

use std::collections::VecDeque;
use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value as Json, json};

use crate::client::output::table;
use crate::client::session::{Service, Session};
use crate::client::text::visible_lines;

/// How long the demo waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the demo plays.
pub struct Stage<'a, W> {
    out: &'a mut W,
    /// How the demo calls Reeve: as the administrator.
    pub session: Session,
    /// Names this run, so that a second one does not meet the first one's names.
    pub run: String,
    /// Where results go.
    pub folder: PathBuf,
    began: Instant,
    happened: Vec<Json>,
    calls: VecDeque<(&'static str, String)>,
}

impl<'a, W: Write> Stage<'a, W> {
    /// An empty stage.
    pub fn new(out: &'a mut W, session: Session, run: String, folder: PathBuf) -> Self {
        Self {
            out,
            session,
            run,
            folder,
            began: Instant::now(),
            happened: Vec::new(),
            calls: VecDeque::new(),
        }
    }

    /// Begins an act.
    pub fn title(&mut self, text: &str) -> Result<()> {
        Ok(writeln!(self.out, "\n{text}")?)
    }

    /// Says something. Some of it comes from agents, so nothing in it reaches the terminal as more
    /// than text.
    pub fn say(&mut self, text: impl AsRef<str>) -> Result<()> {
        Ok(writeln!(self.out, "   {}", visible_lines(text.as_ref()))?)
    }

    /// Notes a result for the table at the end.
    pub fn note(&mut self, what: &str, outcome: impl Into<String>) {
        let seconds = format!("{:.1}", self.began.elapsed().as_secs_f64());
        self.happened
            .push(json!({"at": seconds, "what": what, "outcome": outcome.into()}));
    }

    /// Notes how to see a part oneself.
    pub fn grpcurl(&mut self, service: Service, method: &'static str, body: &Json) {
        let data = if body.as_object().is_none_or(serde_json::Map::is_empty) {
            String::new()
        } else {
            format!("-d '{body}' ")
        };
        let address = service.variable();
        self.calls.push_back((
            method,
            format!("grpcurl -plaintext -H \"authorization: Bearer $REEVE_API_KEY\" {data}${address} {method}"),
        ));
    }

    /// Asks until the answer is there.
    pub async fn until<T, F, R>(&self, what: &str, mut ask: F) -> Result<T>
    where
        F: FnMut() -> R,
        R: Future<Output = Result<Option<T>>>,
    {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(found) = ask().await? {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("waited {} s in vain for {what}", PATIENCE.as_secs())
    }

    /// The table of what happened, and how to look at each part.
    pub fn summary(mut self) -> Result<()> {
        self.title("What happened")?;
        let rows: Vec<_> = self.happened.iter().collect();
        writeln!(
            self.out,
            "{}",
            table(
                &rows,
                &[("SECOND", "at"), ("WHAT", "what"), ("OUTCOME", "outcome")]
            )
        )?;
        writeln!(
            self.out,
            "\nSee each part yourself while Reeve runs (make up; source .reeve/env):"
        )?;
        for (_, call) in &self.calls {
            writeln!(self.out, "  {call}")?;
        }
        writeln!(self.out)?;
        Ok(())
    }
}
