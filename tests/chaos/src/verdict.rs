//! Whether everything that was acknowledged is there, once, and as it must be.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use reeve_bench::Session;
use reeve_contracts::event::v1::event_service_client::EventServiceClient;
use reeve_contracts::event::v1::{EventFilter, ListEventsRequest};
use reeve_contracts::task::v1::task_service_client::TaskServiceClient;
use reeve_contracts::task::v1::{ListTasksRequest, Task, TaskFilter, TaskState};

use crate::clients::is_passing;
use crate::history::History;
use crate::plan::{LABEL, Plan};
use crate::{Args, say};

/// How long the rest may take when nothing is broken any more.
const PATIENCE: Duration = Duration::from_secs(300);
/// Events that end a task.
const ENDS: [&str; 4] = [
    "task.completed",
    "task.failed",
    "task.timed_out",
    "task.cancelled",
];
/// Strikes of a run that is long enough for anything to happen.
const LONG: u32 = 20;
/// Faults that are printed.
const SHOWN: usize = 20;

/// Waits until no task of the run is open.
pub async fn all_over(session: &Session) -> Result<()> {
    let began = Instant::now();
    loop {
        let open = [
            TaskState::Pending,
            TaskState::Assigned,
            TaskState::Accepted,
            TaskState::InProgress,
        ];
        let (found, _) = page(session, &open, 1, String::new()).await?;
        let Some(task) = found.first() else {
            return Ok(());
        };
        if began.elapsed() > PATIENCE {
            bail!(
                "task {} is {:?} and waits for {:?} after {PATIENCE:?}",
                task.id,
                task.state(),
                task.pending_reason()
            );
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn page(
    session: &Session,
    states: &[TaskState],
    size: i32,
    token: String,
) -> Result<(Vec<Task>, String)> {
    loop {
        let filter = TaskFilter {
            states: states.iter().map(|state| i32::from(*state)).collect(),
            labels: [(LABEL.to_owned(), "1".to_owned())].into(),
            ..TaskFilter::default()
        };
        let request = ListTasksRequest {
            filter: Some(filter),
            page_size: size,
            page_token: token.clone(),
            ..ListTasksRequest::default()
        };
        let mut request = session.request(request);
        request.set_timeout(Duration::from_secs(30));
        match TaskServiceClient::new(session.lasting_queue())
            .list_tasks(request)
            .await
        {
            Ok(answer) => {
                let answer = answer.into_inner();
                return Ok((answer.tasks, answer.next_page_token));
            }
            Err(status) if is_passing(&status) => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(status) => return Err(status).context("tasks cannot be listed"),
        }
    }
}

/// Compares the history with the truth.
pub async fn judge(session: &Session, history: &History, args: &Args) -> Result<()> {
    let mut faults = history.wrongs();
    let truth = every_task(session).await?;
    let created = history.tasks();
    if created.len() != args.tasks || truth.len() != args.tasks {
        faults.push(format!(
            "{} tasks were to be created, {} were acknowledged, {} are there",
            args.tasks,
            created.len(),
            truth.len()
        ));
    }
    let (completions, failures) = (history.completions(), history.failures());
    let cancellations = history.cancellations();
    let mut counts = BTreeMap::<&str, usize>::new();
    for (id, plan) in &created {
        let Some(state) = truth.get(id) else {
            faults.push(format!("task {id} was acknowledged and is not there"));
            continue;
        };
        *counts.entry(state.as_str_name()).or_default() += 1;
        let completed = completions.get(id).map_or(0, |tokens| tokens.len());
        let failed = failures.get(id).map_or(0, |tokens| tokens.len());
        let allowed = match plan {
            Plan::Completes | Plan::FailsOnce => *state == TaskState::Completed,
            Plan::Fails => *state == TaskState::Failed,
            Plan::Cancelled => {
                *state == TaskState::Cancelled || (*state == TaskState::Completed && completed == 1)
            }
        };
        // An end whose answer nobody heard is known only from the task.
        let told = match state {
            TaskState::Completed => completed <= 1 && failed == 0,
            TaskState::Failed => failed <= 1 && completed == 0,
            _ => completed == 0 && failed == 0,
        };
        if !allowed || !told {
            faults.push(format!(
                "task {id} ({plan:?}) is {state:?} with {completed} completions and {failed} \
                 failures accepted, cancelled: {}",
                cancellations.contains(id)
            ));
        }
    }
    check_events(session, &created, &mut faults).await?;
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    say(&format!(
        "ended as {counts:?}; {} leases were lost, {} calls repeated, {} agents fell silent",
        read(&history.lost),
        read(&history.repeated),
        read(&history.silences),
    ));
    // A run in which nothing broke proves nothing.
    if read(&history.repeated) == 0 || read(&history.silences) == 0 {
        faults.push("no call was disturbed, or no agent fell silent".to_owned());
    }
    if args.strikes >= LONG && read(&history.lost) == 0 {
        faults.push("no lease was ever lost".to_owned());
    }
    if faults.is_empty() {
        say("every acknowledged task is in exactly one final state, told of once");
        return Ok(());
    }
    for fault in faults.iter().take(SHOWN) {
        say(fault);
    }
    bail!("{} faults", faults.len());
}

async fn every_task(session: &Session) -> Result<BTreeMap<String, TaskState>> {
    let mut truth = BTreeMap::new();
    let mut token = String::new();
    loop {
        let (tasks, next) = page(session, &[], 1_000, token).await?;
        truth.extend(
            tasks
                .into_iter()
                .map(|task| (task.id.clone(), task.state())),
        );
        if next.is_empty() {
            return Ok(truth);
        }
        token = next;
    }
}

/// Each task has ended once, as the log of events tells it; a consumer may have fallen behind.
async fn check_events(
    session: &Session,
    created: &BTreeMap<String, Plan>,
    faults: &mut Vec<String>,
) -> Result<()> {
    let began = Instant::now();
    let mut ends = ends(session, created).await?;
    while ends.len() < created.len() && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_secs(1)).await;
        ends = self::ends(session, created).await?;
    }
    for id in created.keys() {
        let count = ends.get(id).copied().unwrap_or_default();
        if count != 1 {
            faults.push(format!("the end of task {id} was told {count} times"));
        }
    }
    Ok(())
}

async fn ends(
    session: &Session,
    created: &BTreeMap<String, Plan>,
) -> Result<BTreeMap<String, usize>> {
    let mut ends = BTreeMap::new();
    let mut token = String::new();
    loop {
        let filter = EventFilter {
            types: ENDS.map(str::to_owned).to_vec(),
            ..EventFilter::default()
        };
        let request = ListEventsRequest {
            filter: Some(filter),
            page_size: 1_000,
            page_token: token,
            ..ListEventsRequest::default()
        };
        let mut client = EventServiceClient::new(session.lasting_incident());
        let answer = client
            .list_events(session.request(request))
            .await
            .context("events cannot be listed")?
            .into_inner();
        for event in answer.events.into_iter().filter_map(|logged| logged.event) {
            let data = event.data.map(reeve_wellknown::json_from_struct);
            // A failure that is retried is no end.
            let goes_on = data.is_some_and(|data| data["retry"] == true);
            if !goes_on && created.contains_key(&event.resource_id) {
                *ends.entry(event.resource_id).or_default() += 1;
            }
        }
        if answer.next_page_token.is_empty() {
            return Ok(ends);
        }
        token = answer.next_page_token;
    }
}
