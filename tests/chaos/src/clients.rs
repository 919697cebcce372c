//! Clients: they create tasks until each is acknowledged, and cancel some.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reeve_bench::Session;
use reeve_contracts::task::v1::task_service_client::TaskServiceClient;
use reeve_contracts::task::v1::{BatchCreateTasksRequest, CancelTaskRequest, CreateTaskRequest};
use reeve_status::{Fault, Reason};
use tokio::time::Instant;

use crate::history::History;
use crate::nemesis;
use crate::plan::Plan;

const BATCH: usize = 100;

/// Whether the same call may be answered otherwise the next time.
pub fn is_passing(status: &tonic::Status) -> bool {
    use tonic::Code::{
        Aborted, Cancelled, DeadlineExceeded, Internal, ResourceExhausted, Unavailable, Unknown,
    };
    // What a client makes of a connection that breaks in the middle of an answer.
    let is_broken =
        status.code() == Internal && Fault::from(status).reason() != Reason::InternalError;
    is_broken
        || matches!(
            status.code(),
            Aborted | Cancelled | DeadlineExceeded | ResourceExhausted | Unavailable | Unknown
        )
}

/// Creates every task, spread over the time that the strikes take.
pub async fn run(
    session: &Session,
    history: &History,
    tasks: usize,
    strikes: u32,
    seed: u64,
) -> Result<()> {
    let began = Instant::now();
    let whole = nemesis::duration(strikes);
    let mut number = 0;
    while number < tasks {
        let due = began + whole.mul_f64(number as f64 / tasks as f64);
        tokio::time::sleep_until(due).await;
        let last = (number + BATCH).min(tasks);
        create(session, history, number..last, seed).await?;
        number = last;
    }
    Ok(())
}

async fn create(
    session: &Session,
    history: &History,
    numbers: std::ops::Range<usize>,
    seed: u64,
) -> Result<()> {
    let one = |number| CreateTaskRequest {
        spec: Some(Plan::spec(number)),
        request_id: format!("chaos-{seed}-{number}"),
        ..CreateTaskRequest::default()
    };
    let requests: Vec<_> = numbers.clone().map(one).collect();
    let ids = loop {
        let request = BatchCreateTasksRequest {
            requests: requests.clone(),
        };
        let mut request = session.request(request);
        request.set_timeout(Duration::from_secs(10));
        let channel = session.lasting_queue();
        match TaskServiceClient::new(channel)
            .batch_create_tasks(request)
            .await
        {
            Ok(created) => break created.into_inner().task_ids,
            Err(status) if is_passing(&status) => {
                history.repeated();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(status) => return Err(status).context("a task was not created"),
        }
    };
    ensure!(
        ids.len() == numbers.len(),
        "{} ids of {}",
        ids.len(),
        numbers.len()
    );
    for (number, id) in numbers.zip(ids) {
        let plan = Plan::of(number);
        history.created(id.clone(), plan);
        if plan == Plan::Cancelled {
            cancel(session, history, id).await?;
        }
    }
    Ok(())
}

async fn cancel(session: &Session, history: &History, id: String) -> Result<()> {
    loop {
        let request = CancelTaskRequest {
            task_id: id.clone(),
            reason: "chaos".to_owned(),
            ..CancelTaskRequest::default()
        };
        let mut request = session.request(request);
        request.set_timeout(Duration::from_secs(10));
        let channel = session.lasting_queue();
        match TaskServiceClient::new(channel).cancel_task(request).await {
            Ok(_) => {
                history.cancelled(id);
                return Ok(());
            }
            // It was done before.
            Err(status) if Fault::from(&status).reason() == Reason::TransitionForbidden => {
                return Ok(());
            }
            Err(status) if is_passing(&status) => {
                history.repeated();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(status) => return Err(status).context("a task was not cancelled"),
        }
    }
}
