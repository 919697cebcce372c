//! In Redis Cluster a command or script may touch one slot only. A cluster of one node enforces
//! that, so a tour of everything through it proves the hash tags.

use std::time::Duration;

use reeve_redis::{Entry, Limit, Ready, Verdict};

use crate::support::{Server, eventually, rebuilt, soon};

const LONG: Duration = Duration::from_secs(600);

async fn cluster() -> Server {
    let server = Server::with(&["--save", "", "--cluster-enabled", "yes"]).await;
    let slots: Vec<String> = (0..16_384).map(|slot| slot.to_string()).collect();
    let mut words = vec!["CLUSTER", "ADDSLOTS"];
    words.extend(slots.iter().map(String::as_str));
    server.command(&words).await.unwrap();
    eventually(async || server.command(&["GET", "{a}"]).await.is_ok()).await;
    server
}

#[tokio::test]
async fn the_cluster_refuses_what_touches_two_slots() {
    let server = cluster().await;
    let refused = server.command(&["MGET", "{a}", "{b}"]).await.unwrap_err();
    assert_eq!(
        refused.code(),
        Some("CROSSSLOT"),
        "else the other test proves nothing"
    );
}

#[tokio::test]
async fn every_structure_keeps_to_one_slot_a_call() {
    let server = cluster().await;
    let redis = server.handle().await;

    let queues = redis.ready_queues(5);
    let tasks = ["a", "b", "{c}"].map(|lane| Ready::new(lane, format!("in {lane}"), 1.0));
    rebuilt(&queues, &tasks).await;
    let popped = queues
        .pop(&["a", "b", "{c}"], 9, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(popped.len(), 3);
    assert_eq!(queues.give_back(&popped[..1]).await.unwrap(), 1);
    queues.confirm(&popped[1..2]).await.unwrap();
    eventually(async || queues.sweep_granting(9).await.unwrap().len() == 1).await;
    assert_eq!(queues.lens(&["a", "b", "{c}"]).await.unwrap(), [1, 0, 1]);
    assert_eq!(queues.missing("b", &["in b"]).await.unwrap().len(), 1);
    assert_eq!(queues.remove("a", &["in a"]).await.unwrap(), 1);
    queues.verify().await.unwrap();

    let leases = redis.leases("agents", 8);
    let rebuild = leases.generation().begin(LONG).await.unwrap().unwrap();
    leases.generation().extend(&rebuild).await.unwrap();
    leases.generation().finish(rebuild).await.unwrap();
    let batch: Vec<_> = (0..100).map(|n| (n.to_string(), Duration::ZERO)).collect();
    leases.renew(&batch).await.unwrap();
    eventually(async || leases.count().await.unwrap().expired == 100).await;
    assert_eq!(leases.postpone_expired(Duration::ZERO).await.unwrap(), 100);
    eventually(async || leases.expired(100).await.unwrap().len() == 100).await;
    let lapsed = leases.expired(100).await.unwrap();
    assert_eq!(leases.forget(&lapsed[..60]).await.unwrap(), 60);
    let ids: Vec<_> = lapsed[60..].iter().map(|lapsed| &lapsed.id).collect();
    assert_eq!(leases.remove(&ids).await.unwrap(), 40);

    let streams = redis.streams(10);
    let entry = Entry {
        first_seq: 1,
        last_seq: 2,
        payload: b"x".to_vec(),
    };
    assert_eq!(
        streams
            .append("events", std::slice::from_ref(&entry))
            .await
            .unwrap(),
        1
    );
    assert_eq!(streams.last_id("events").await.unwrap(), Some(2));
    let read = soon(streams.reader("events").read_after(0, 1, LONG))
        .await
        .unwrap();
    assert_eq!(read, [entry]);

    let limit = Limit {
        capacity: 1.0,
        refill_per_second: 1.0,
    };
    assert_eq!(
        redis.rate_limiter().take("k", limit, 1.0).await.unwrap(),
        Verdict::Allowed
    );
}
