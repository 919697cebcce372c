//! Leases: the server's time, no loss between expiry and commit, and the brake's inputs.

use std::time::Duration;

use reeve_redis::{Error, LeaseCount, Leases};

use crate::support::{Server, eventually, ids};

const LONG: Duration = Duration::from_secs(600);

async fn leases() -> (Server, Leases) {
    let server = Server::start().await;
    let leases = server.handle().await.leases("agents", 4);
    let rebuild = leases.generation().begin(LONG).await.unwrap().unwrap();
    leases.generation().finish(rebuild).await.unwrap();
    (server, leases)
}

async fn expired_sorted(leases: &Leases) -> Vec<String> {
    let mut found = ids(&leases.expired(100).await.unwrap(), |lapsed| &lapsed.id);
    found.sort_unstable();
    found
}

#[tokio::test]
async fn a_lease_ends_by_the_servers_clock() {
    let (server, leases) = leases().await;
    let redis = server.handle().await;
    let before = redis.server_time().await.unwrap();
    leases
        .renew(&[("gone", Duration::ZERO), ("here", LONG)])
        .await
        .unwrap();
    let after = redis.server_time().await.unwrap();
    let mut expired = Vec::new();
    eventually(async || {
        expired = leases.expired(10).await.unwrap();
        !expired.is_empty()
    })
    .await;
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0].id, "gone");
    assert!(
        (before..=after).contains(&expired[0].expiry_ms),
        "{before} {expired:?} {after}"
    );
    assert_eq!(
        leases.count().await.unwrap(),
        LeaseCount {
            total: 2,
            expired: 1
        }
    );
    assert_eq!(leases.expired_fraction().await.unwrap(), 0.5);
}

#[tokio::test]
async fn an_expired_lease_stays_until_it_is_forgotten() {
    let (server, leases) = leases().await;
    leases
        .renew(&[("a", Duration::ZERO), ("b", Duration::ZERO)])
        .await
        .unwrap();
    eventually(async || expired_sorted(&leases).await == ["a", "b"]).await;
    // The first sweeper dies before its commit; the second finds the same.
    let second = server.handle().await.leases("agents", 4);
    assert_eq!(expired_sorted(&second).await, ["a", "b"]);
    let lapsed = second.expired(100).await.unwrap();
    assert_eq!(second.forget(&lapsed).await.unwrap(), 2);
    assert_eq!(second.forget(&lapsed).await.unwrap(), 0);
    assert_eq!(second.count().await.unwrap(), LeaseCount::default());
}

#[tokio::test]
async fn a_lease_renewed_while_its_end_is_committed_is_not_forgotten() {
    let (_server, leases) = leases().await;
    leases.renew(&[("a", Duration::ZERO)]).await.unwrap();
    eventually(async || expired_sorted(&leases).await == ["a"]).await;
    let lapsed = leases.expired(100).await.unwrap();
    leases.renew(&[("a", LONG)]).await.unwrap();
    assert_eq!(leases.forget(&lapsed).await.unwrap(), 0);
    assert_eq!(
        leases.count().await.unwrap(),
        LeaseCount {
            total: 1,
            expired: 0
        }
    );
    assert_eq!(leases.remove(&["a", "never there"]).await.unwrap(), 1);
}

#[tokio::test]
async fn the_limit_holds_over_all_shards_and_no_shard_starves() {
    let (_server, leases) = leases().await;
    let batch: Vec<_> = (0..40)
        .map(|n| (format!("agent-{n}"), Duration::ZERO))
        .collect();
    leases.renew(&batch).await.unwrap();
    eventually(async || leases.count().await.unwrap().expired == 40).await;
    let mut seen = std::collections::HashSet::new();
    eventually(async || {
        let some = leases.expired(3).await.unwrap();
        assert!(some.len() <= 3);
        leases.forget(&some).await.unwrap();
        seen.extend(some.into_iter().map(|lapsed| lapsed.id));
        seen.len() == 40
    })
    .await;
}

#[tokio::test]
async fn after_a_flush_nobody_is_declared_dead() {
    let (server, leases) = leases().await;
    leases.renew(&[("a", Duration::ZERO)]).await.unwrap();
    server.command(&["FLUSHALL"]).await.unwrap();
    assert!(matches!(leases.expired(10).await, Err(Error::Rebuild)));
    assert!(matches!(
        leases.generation().verify().await,
        Err(Error::Rebuild)
    ));
    // Heartbeats go on meanwhile, and the rebuild keeps them.
    leases.renew(&[("a", LONG)]).await.unwrap();
    let rebuild = leases.generation().begin(LONG).await.unwrap().unwrap();
    assert!(leases.generation().begin(LONG).await.unwrap().is_none());
    leases.renew(&[("b", LONG)]).await.unwrap();
    leases.generation().finish(rebuild).await.unwrap();
    leases.generation().verify().await.unwrap();
    assert!(leases.expired(10).await.unwrap().is_empty());
    assert_eq!(leases.count().await.unwrap().total, 2);
}

#[tokio::test]
async fn the_brake_postpones_every_expired_lease_and_no_other() {
    let (_server, leases) = leases().await;
    let mut batch: Vec<_> = (0..5_000)
        .map(|n| (format!("agent-{n}"), Duration::ZERO))
        .collect();
    batch.push(("alive".to_owned(), LONG * 10));
    leases.renew(&batch).await.unwrap();
    eventually(async || leases.count().await.unwrap().expired == 5_000).await;
    assert_eq!(leases.postpone_expired(LONG).await.unwrap(), 5_000);
    assert_eq!(
        leases.count().await.unwrap(),
        LeaseCount {
            total: 5_001,
            expired: 0
        }
    );
    assert_eq!(leases.postpone_expired(Duration::ZERO).await.unwrap(), 0);
    // A new time that is over at once ends the call all the same.
    leases.renew(&batch[..2_000]).await.unwrap();
    eventually(async || leases.count().await.unwrap().expired == 2_000).await;
    assert_eq!(
        leases.postpone_expired(Duration::ZERO).await.unwrap(),
        2_000
    );
}

#[tokio::test]
async fn a_grant_touches_only_those_without_a_lease() {
    let (_server, leases) = leases().await;
    leases
        .renew(&[("expired", Duration::ZERO), ("alive", LONG)])
        .await
        .unwrap();
    eventually(async || leases.count().await.unwrap().expired == 1).await;
    leases
        .grant(&[("expired", LONG), ("alive", Duration::ZERO), ("new", LONG)])
        .await
        .unwrap();
    assert_eq!(expired_sorted(&leases).await, ["expired"]);
    assert_eq!(
        leases.count().await.unwrap(),
        LeaseCount {
            total: 3,
            expired: 1
        }
    );
}
