//! Wake-ups within a process, between replicas, and over an outage.

use std::time::Duration;

use reeve_redis::{Wakeup, Wakeups};

use crate::support::{Server, eventually, soon};

async fn woken_within(wakeup: &mut Wakeup, patience: Duration) -> bool {
    tokio::time::timeout(patience, wakeup.woken()).await.is_ok()
}

/// Two replicas that hear each other.
async fn replicas(server: &Server, name: &str) -> (Wakeups, Wakeups) {
    let (one, two) = (
        server.handle().await.wakeups(name),
        server.handle().await.wakeups(name),
    );
    connected(server, name, &one, &two).await;
    (one, two)
}

async fn connected(server: &Server, name: &str, from: &Wakeups, to: &Wakeups) {
    let channel = format!("reeve:wake.{name}");
    let both = redis::Value::Array(vec![
        redis::Value::BulkString(channel.clone().into_bytes()),
        redis::Value::Int(2),
    ]);
    eventually(async || {
        server
            .command(&["PUBSUB", "NUMSUB", &channel])
            .await
            .unwrap()
            == both
    })
    .await;
    // A new subscription wakes everyone once; the second time it was a message.
    let mut probe = to.subscribe("probe");
    for _ in 0..2 {
        from.publish("probe");
        soon(probe.woken()).await;
    }
}

#[tokio::test]
async fn a_waiter_in_the_same_process_is_woken_without_redis() {
    let mut server = Server::start().await;
    let wakeups = server.handle().await.wakeups("test");
    server.kill();
    let mut waiter = wakeups.subscribe("lane");
    wakeups.publish("lane");
    soon(waiter.woken()).await;
}

#[tokio::test]
async fn a_waiter_at_another_replica_is_woken() {
    let server = Server::start().await;
    let (one, two) = replicas(&server, "test").await;
    let mut waiter = two.subscribe("lane");
    let mut stranger = two.subscribe("another");
    let publisher = one.clone();
    let waiting = tokio::spawn(async move { waiter.woken().await });
    publisher.publish("lane");
    soon(waiting).await.unwrap();
    assert!(!woken_within(&mut stranger, Duration::from_millis(50)).await);
}

#[tokio::test]
async fn a_wake_up_between_looking_and_waiting_is_not_missed() {
    let server = Server::start().await;
    let wakeups = server.handle().await.wakeups("test");
    let mut waiters = wakeups.subscribe_all(&["a", "b"]);
    wakeups.publish("b");
    assert_eq!(soon(Wakeup::any_woken(&mut waiters)).await, 1);
    let (mut first, mut second) = (wakeups.subscribe("a"), wakeups.subscribe("a"));
    wakeups.publish("a");
    soon(first.woken()).await;
    soon(second.woken()).await;
}

#[tokio::test]
async fn names_do_not_hear_each_other() {
    let server = Server::start().await;
    let (one, same) = replicas(&server, "one").await;
    let (_another, other) = replicas(&server, "other").await;
    let (mut heard, mut unheard) = (same.subscribe("lane"), other.subscribe("lane"));
    one.publish("lane");
    soon(heard.woken()).await;
    assert!(!woken_within(&mut unheard, Duration::from_millis(50)).await);
}

#[tokio::test]
async fn after_an_outage_everybody_looks_and_replicas_hear_each_other_again() {
    let mut server = Server::start().await;
    let (one, two) = replicas(&server, "test").await;
    let mut waiter = two.subscribe("lane");
    server.kill();
    // Whatever was published meanwhile is lost, so the loss itself wakes.
    soon(waiter.woken()).await;
    server.restart().await;
    connected(&server, "test", &one, &two).await;
}
