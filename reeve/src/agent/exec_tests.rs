//! Real programs, most of them badly behaved.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    folder: TempDir,
    lifeline: Arc<Lifeline>,
    progress: (mpsc::Sender<Progress>, mpsc::Receiver<Progress>),
    cancel: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            lifeline: Lifeline::new().unwrap(),
            progress: mpsc::channel(1_000),
            cancel: CancellationToken::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a script in the folder.
    async fn run(&self, script: &str) -> Outcome {
        let command = format!("cd '{}'; {script}", self.folder.path().display());
        let task = execute(
            command,
            Lease::default(),
            Arc::clone(&self.lifeline),
            self.progress.0.clone(),
            self.cancel.clone(),
        );
        timeout(PATIENCE, task).await.expect("it ends").outcome
    }
}

fn code(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Completed(_) => "",
        Outcome::Failed { code, .. } => code,
        Outcome::Suspended(_) => "SUSPENDED",
    }
}

async fn appears(path: &Path) {
    while !path.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether the process whose id a script wrote still runs. A killed one may stay as a zombie where
/// nobody collects orphans.
fn is_alive(pid_file: &Path) -> bool {
    let pid = fs::read_to_string(pid_file).unwrap();
    let pid = pid.trim();
    let state = if Path::new("/proc/self/stat").exists() {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().unwrap_or_default().to_owned()
    } else {
        let mut ps = std::process::Command::new("ps");
        let output = ps.args(["-o", "stat=", "-p", pid]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

async fn dies(pid_file: &Path) {
    while is_alive(pid_file) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_program_that_prints_without_end_is_killed() {
    let bench = Bench::new();
    assert_eq!(code(&bench.run("yes").await), "OUTPUT_TOO_LARGE");
}

#[tokio::test]
async fn bytes_that_are_no_text_do_not_hinder_a_program() {
    let mut bench = Bench::new();
    let script = r"printf '10%% caf\351\n' >&2; printf '20%% more\n' >&2; echo '{}'";
    assert_eq!(code(&bench.run(script).await), "");
    let lines = [
        bench.progress.1.recv().await.unwrap(),
        bench.progress.1.recv().await.unwrap(),
    ];
    assert_eq!(
        lines.map(|line| line.message),
        ["caf\u{fffd}".to_owned(), "more".to_owned()]
    );
}

#[tokio::test]
async fn a_program_may_wait_for_people() {
    let bench = Bench::new();
    let script = r#"echo '{"suspend": {"prompt": "may I?"}, "checkpoint": {"n": 1}}'; exit 75"#;
    let Outcome::Suspended(question) = bench.run(script).await else {
        panic!("exit status 75 with a question waits");
    };
    assert_eq!(question.gate.prompt, "may I?");
    let odd = r#"echo '{"suspend": {"prompt": "may I?"}}'; exit 74"#;
    assert_eq!(code(&bench.run(odd).await), "EXIT_74", "that is a failure");
    assert_eq!(
        code(&bench.run("exit 75").await),
        "EXIT_75",
        "nothing is asked"
    );
    // A result may look as it likes.
    let result = r#"echo '{"suspend": {"prompt": "may I?"}}'"#;
    assert_eq!(code(&bench.run(result).await), "");
}

#[tokio::test]
async fn a_line_without_an_end_does_not_hinder_a_program() {
    let bench = Bench::new();
    let script = r"head -c 3000000 /dev/zero | tr '\0' x >&2; exit 3";
    let outcome = bench.run(script).await;
    assert_eq!(code(&outcome), "EXIT_3");
    let Outcome::Failed { message, .. } = outcome else {
        panic!("exit status 3 is a failure");
    };
    assert!(message.len() <= 4_096, "{} bytes", message.len());
}

#[tokio::test]
async fn what_a_program_leaves_running_ends_with_it() {
    let bench = Bench::new();
    let script = "sleep 1000 & echo $! > helper; echo '{}'";
    assert_eq!(code(&bench.run(script).await), "");
    timeout(PATIENCE, dies(&bench.path("helper")))
        .await
        .expect("the helper ends");
}

#[tokio::test]
async fn cancelling_ends_what_is_deaf_to_it() {
    let bench = Bench::new();
    let deaf =
        r#"sh -c 'trap "" TERM; echo $$ > pid; mv pid deaf; while :; do sleep 1; done'; true"#;
    let ready = async {
        appears(&bench.path("deaf")).await;
        bench.cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(bench.run(deaf), ready);
    assert_eq!(code(&outcome), "CANCELLED");
    timeout(PATIENCE, dies(&bench.path("deaf")))
        .await
        .expect("it is killed");
}

#[tokio::test]
async fn a_cancelled_program_may_tidy_up_after_its_shell_is_gone() {
    let bench = Bench::new();
    let tidy = r#"sh -c 'trap "sleep 0.2; touch tidied; exit 0" TERM; touch ready; while :; do sleep 0.05; done'; true"#;
    let ready = async {
        appears(&bench.path("ready")).await;
        bench.cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(bench.run(tidy), ready);
    assert_eq!(code(&outcome), "CANCELLED");
    assert!(bench.path("tidied").exists());
}

#[tokio::test]
async fn programs_end_with_their_agent() {
    let lifeline = Lifeline::new().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "sleep 1000 & wait"]);
    let (group, mut child) = Group::spawn(&mut shell, &lifeline).unwrap();
    // As when the agent is killed: the pipe closes, and nobody ends the group.
    drop(lifeline);
    let status = timeout(PATIENCE, child.wait()).await.expect("it ends");
    assert_eq!(status.unwrap().signal(), Some(15));
    drop(group);
}
