//! Redis away, frozen, emptied, restarted: the handle heals, and losses are noticed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reeve_redis::{Error, Ready, Redis, RedisConfig};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Server, eventually, rebuilt, soon};

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_start_without_redis_succeeds_and_heals() {
    let mut server = Server::start().await;
    server.kill();
    let redis = server.handle().await;
    let start = Instant::now();
    for _ in 0..20 {
        let answer = redis.ping().await;
        assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    }
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "it took {:?}",
        start.elapsed()
    );
    server.restart().await;
    eventually(async || redis.ping().await.is_ok()).await;
}

#[tokio::test]
async fn a_restart_is_survived_by_the_same_handle_and_reported_as_a_loss() {
    let mut server = Server::start().await;
    let queues = server.handle().await.ready_queues(0);
    rebuilt(&queues, &[Ready::new("a", "1", 1.0)]).await;
    queues.verify().await.unwrap();
    server.kill();
    let answer = queues.pop(&["a"], 1, LONG).await;
    assert!(answer.is_err_and(|error| error.is_transient()));
    server.restart().await;
    eventually(async || matches!(queues.pop(&["a"], 1, LONG).await, Err(Error::Rebuild))).await;
    rebuilt(&queues, &[Ready::new("a", "1", 1.0)]).await;
    assert_eq!(queues.pop(&["a"], 1, LONG).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_flush_is_reported_by_the_next_pop_and_the_next_verification() {
    let server = Server::start().await;
    let queues = server.handle().await.ready_queues(0);
    assert!(
        matches!(queues.verify().await, Err(Error::Rebuild)),
        "new, hence not loaded"
    );
    rebuilt(&queues, &[Ready::new("a", "1", 1.0)]).await;
    server.command(&["FLUSHALL"]).await.unwrap();
    assert!(matches!(
        queues.pop(&["a"], 1, LONG).await,
        Err(Error::Rebuild)
    ));
    assert!(matches!(queues.verify().await, Err(Error::Rebuild)));
}

#[tokio::test]
async fn a_server_that_returns_with_an_old_snapshot_is_reported_too() {
    let mut server = Server::with(&["--save", "3600 1000000", "--appendonly", "no"]).await;
    let queues = server.handle().await.ready_queues(0);
    rebuilt(&queues, &[Ready::new("a", "1", 1.0)]).await;
    server.command(&["SAVE"]).await.unwrap();
    queues
        .push(&[Ready::new("a", "after the snapshot", 1.0)])
        .await
        .unwrap();
    server.kill();
    server.restart().await;
    eventually(async || queues.len("a").await.is_ok()).await;
    assert_eq!(queues.len("a").await.unwrap(), 1, "the snapshot was loaded");
    assert!(matches!(queues.verify().await, Err(Error::Rebuild)));
    // And from then on the pops know as well.
    assert!(matches!(
        queues.pop(&["a"], 1, LONG).await,
        Err(Error::Rebuild)
    ));
}

#[tokio::test]
async fn a_loss_during_a_rebuild_makes_it_start_again() {
    let server = Server::start().await;
    let queues = server.handle().await.ready_queues(0);
    let rebuild = queues.rebuild_begin(LONG).await.unwrap().unwrap();
    queues.rebuild_extend(&rebuild).await.unwrap();
    server.command(&["FLUSHALL"]).await.unwrap();
    assert!(matches!(
        queues.rebuild_extend(&rebuild).await,
        Err(Error::Rebuild)
    ));
    assert!(matches!(
        queues.rebuild_finish(rebuild).await,
        Err(Error::Rebuild)
    ));
    assert!(matches!(
        queues.pop(&["a"], 1, LONG).await,
        Err(Error::Rebuild)
    ));
}

#[tokio::test]
async fn one_replica_rebuilds_and_a_dead_one_blocks_nobody() {
    let server = Server::start().await;
    let (one, two) = (server.handle().await, server.handle().await);
    let (one, two) = (one.ready_queues(0), two.ready_queues(0));
    let dead = one.rebuild_begin(LONG).await.unwrap().unwrap();
    assert!(two.rebuild_begin(LONG).await.unwrap().is_none());
    one.rebuild_finish(dead).await.unwrap();
    let dead = one
        .rebuild_begin(Duration::from_millis(1))
        .await
        .unwrap()
        .unwrap();
    let mut mine = None;
    eventually(async || {
        mine = two.rebuild_begin(LONG).await.unwrap();
        mine.is_some()
    })
    .await;
    assert!(
        matches!(one.rebuild_finish(dead).await, Err(Error::Rebuild)),
        "it has lapsed"
    );
    two.rebuild_finish(mine.unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_frozen_server_times_out_once_and_then_costs_nothing() {
    let server = Server::start().await;
    let redis = server.handle().await;
    server.signal("STOP");
    let answer = soon(redis.ping()).await;
    assert!(matches!(answer, Err(Error::Timeout)), "{answer:?}");
    // Asked again soon enough it is not asked at all, so the answer is not that of a timeout.
    eventually(async || matches!(redis.ping().await, Err(Error::Unavailable(_)))).await;
    server.signal("CONT");
    eventually(async || redis.ping().await.is_ok()).await;
}

/// Stands between; what came before `vanish` stays open and is never answered again.
struct Proxy {
    port: u16,
    vanished: Arc<AtomicUsize>,
}

impl Proxy {
    async fn before(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let vanished = Arc::new(AtomicUsize::new(0));
        let (epoch, target) = (Arc::clone(&vanished), server.port);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, target, Arc::clone(&epoch)));
            }
        });
        Self { port, vanished }
    }

    fn vanish(&self) {
        self.vanished.fetch_add(1, Ordering::SeqCst);
    }
}

async fn forward(mut client: TcpStream, port: u16, epoch: Arc<AtomicUsize>) {
    let born = epoch.load(Ordering::SeqCst);
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut question, mut answer) = ([0; 4096], [0; 4096]);
    loop {
        let (from_client, length) = tokio::select! {
            length = client.read(&mut question) => (true, length.unwrap_or(0)),
            length = server.read(&mut answer) => (false, length.unwrap_or(0)),
        };
        if epoch.load(Ordering::SeqCst) != born {
            return std::future::pending().await;
        }
        let sent = match from_client {
            true => server.write_all(&question[..length]).await,
            false => client.write_all(&answer[..length]).await,
        };
        if length == 0 || sent.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_connection_whose_other_end_vanished_is_replaced() {
    let server = Server::start().await;
    let proxy = Proxy::before(&server).await;
    let url = format!("redis://127.0.0.1:{}/", proxy.port);
    let redis = Redis::connect(&RedisConfig::new(url)).await.unwrap();
    redis.ping().await.unwrap();
    proxy.vanish();
    let answer = soon(redis.ping()).await;
    assert!(matches!(answer, Err(Error::Timeout)), "{answer:?}");
    eventually(async || redis.ping().await.is_ok()).await;
}

#[tokio::test]
async fn a_password_that_is_put_right_is_noticed() {
    let server = Server::start().await;
    let url = format!("redis://:right@127.0.0.1:{}/", server.port);
    server
        .command(&["CONFIG", "SET", "requirepass", "wrong"])
        .await
        .unwrap();
    let redis = Redis::connect(&RedisConfig::new(url)).await.unwrap();
    let answer = redis.ping().await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    let admin = redis::Client::open(format!("redis://:wrong@127.0.0.1:{}/", server.port)).unwrap();
    let mut admin = admin.get_multiplexed_async_connection().await.unwrap();
    let mut change = redis::cmd("CONFIG");
    change.arg(&["SET", "requirepass", "right"]);
    let () = change.query_async(&mut admin).await.unwrap();
    eventually(async || redis.ping().await.is_ok()).await;
}

#[tokio::test]
async fn a_server_out_of_memory_is_unavailable_rather_than_a_bug() {
    let server = Server::start().await;
    let queues = server.handle().await.ready_queues(0);
    server
        .command(&["CONFIG", "SET", "maxmemory", "1"])
        .await
        .unwrap();
    let answer = queues.push(&[Ready::new("a", "1", 1.0)]).await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
}

#[tokio::test]
async fn a_wrong_configuration_is_an_error_at_once_and_shows_no_password() {
    for (url, prefix) in [
        ("redis://:secret@", "reeve"),
        ("redis://localhost", "{reeve}"),
    ] {
        let answer = Redis::connect(&RedisConfig::new(url).with_prefix(prefix)).await;
        let error = answer.expect_err("it is wrong");
        assert!(matches!(error, Error::Config(_)), "{error:?}");
        assert!(!format!("{error:?}{error}").contains("secret"));
    }
}
