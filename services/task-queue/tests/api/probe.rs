
use std::collections::HashMap;
use reeve_contracts::task::v1::work_request::Message as Said;
use reeve_contracts::task::v1::work_response::Message as Say;
use reeve_contracts::task::v1::{self as proto};
use tokio::sync::mpsc;
use crate::harness::*;
use crate::worker::{Worker, completion};
/// Completes whatever comes until the stream is dropped; counts by id.
async fn toil(mut worker: Worker, done: mpsc::Sender<Vec<String>>) {
    let mut under_way = HashMap::new();
    worker.credit(512).await;
    while let Ok(message) = worker.next().await {
        match message {
            Say::Assign(assign) => {
                worker.sequence += 1;
                let ids: Vec<_> = assign.leases.iter().map(|l| id_of(l).to_owned()).collect();
                let tasks = i32::try_from(ids.len()).expect("small");
                let items: Vec<_> = assign
                    .leases
                    .iter()
                    .map(|lease| completion(&lease.lease_token))
                    .collect();
                under_way.insert(worker.sequence, ids);
                worker
                    .say(
                        worker.sequence,
                        Said::Complete(proto::CompleteBatch { items }),
                    )
                    .await;
                worker.credit(tasks).await;
            }
            Say::Ack(ack) => {
                assert!(ack.failures.is_empty(), "{:?}", ack.failures);
                let ids = under_way.remove(&ack.sequence).expect("it was asked");
                if done.send(ids).await.is_err() {
                    return;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}


#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probe() {
    let world = World::start().await;
    let (done, mut finished) = mpsc::channel(64);
    let started = std::time::Instant::now();
    for _ in 0..10 {
        let both = tokio::join!(world.create_many(spec("lint"), 1_000), world.create_many(spec("lint"), 1_000));
        drop(both);
    }
    println!("20000 created in {:?}", started.elapsed());
    let started = std::time::Instant::now();
    let mut workers = Vec::new();
    for _ in 0..4 {
        let worker = Worker::greet(&world, world.agent(&["lint"])).await;
        workers.push(reeve_runtime::spawn("worker", toil(worker, done.clone())));
    }
    let mut completed = 0;
    while completed < 20_000 {
        completed += finished.recv().await.unwrap().len();
    }
    println!("20000 leased and completed in {:?}", started.elapsed());
    let started = std::time::Instant::now();
    let calls = (0..32).map(|_| async { for _ in 0..20 { world.create(spec("other")).await; } });
    futures::future::join_all(calls).await;
    println!("640 unary creates by 32 in {:?}", started.elapsed());
    let mut admin = world.database.admin().await;
    let commits: (i64,) = sqlx::query_as("select count(*) from task_queue.event_log").fetch_one(&mut admin).await.unwrap();
    println!("{commits:?} outbox rows");
}
