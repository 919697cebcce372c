//! The way of an event, on a real PostgreSQL and Redis.

use std::sync::Arc;
use std::sync::Mutex;

use chrono::Utc;
use reeve_events::{Actor, Consumer, Error, Event, Feed, Handler, Log, NewEvent, Relay, Wake};
use reeve_ids::{TaskId, TenantId};
use reeve_postgres::{Database, Schema, sqlx};
use reeve_redis::{Redis, RedisConfig};
use reeve_testkit::TestDatabase;
use sqlx::PgConnection;

const SOURCE: &str = "task-queue";

struct World {
    database: Database,
    redis: Redis,
    relay: Relay,
    _test: TestDatabase,
}

impl World {
    async fn new() -> Self {
        let schema = Schema::new("event_test").with("events", &reeve_events::MIGRATIONS);
        let test = TestDatabase::new(&[&schema]).await;
        let database = test.connect(&schema);
        let server = reeve_testkit::redis().await;
        let redis = Redis::connect(&RedisConfig::new(&server.url).with_prefix(&server.prefix))
            .await
            .unwrap();
        let relay = Relay::new(database.clone(), &redis, SOURCE, Wake::new());
        Self {
            database,
            redis,
            relay,
            _test: test,
        }
    }

    async fn write(&self, count: usize) {
        self.write_all((0..count).map(|_| event()).collect()).await;
    }

    async fn write_all(&self, events: Vec<NewEvent>) {
        let mut tx = self.database.internal().await.unwrap();
        reeve_events::append(&mut tx, SOURCE, events).await.unwrap();
        tx.commit().await.unwrap();
    }

    fn consumer(&self, handler: Recorder) -> Consumer<Recorder> {
        let feed = Feed::Own(Log::new(self.database.clone()));
        Consumer::new(
            self.database.clone(),
            &self.redis,
            feed,
            SOURCE,
            "recorder",
            handler,
        )
    }
}

fn event() -> NewEvent {
    event_of("task.created")
}

fn event_of(kind: &'static str) -> NewEvent {
    let actor = Actor::service("task-queue");
    NewEvent::new(
        TenantId::new(),
        actor,
        Utc::now(),
        kind,
        ("task", TaskId::new()),
    )
    .with(serde_json::json!({"type": "lint"}))
}

/// Keeps the sequences that it applied; can be told to fail.
#[derive(Clone, Default)]
struct Recorder {
    applied: Arc<Mutex<Vec<i64>>>,
    failing: Arc<Mutex<bool>>,
}

#[tonic::async_trait]
impl Handler for Recorder {
    fn concerns(&self, event: &Event) -> bool {
        event.r#type != "task.ignored"
    }

    async fn apply(&self, _: &mut PgConnection, events: &[Event]) -> Result<(), Error> {
        if *self.failing.lock().unwrap() {
            return Err(Error::Handler("told to fail".into()));
        }
        self.applied
            .lock()
            .unwrap()
            .extend(events.iter().map(|event| event.sequence));
        Ok(())
    }
}

#[tokio::test]
async fn events_are_numbered_without_gaps() {
    let world = World::new().await;
    for batch in [1, 3, 2] {
        world.write(batch).await;
    }
    // A transaction that rolls back leaves neither its change nor its event.
    let mut tx = world.database.internal().await.unwrap();
    reeve_events::append(&mut tx, SOURCE, vec![event()])
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    world.write(1).await;
    while world.relay.tick().await.unwrap() {}
    let log = Log::new(world.database.clone());
    let sequences: Vec<_> = log
        .read_after(0, 100)
        .await
        .unwrap()
        .iter()
        .map(|e| e.sequence)
        .collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(log.last_sequence().await.unwrap(), 7);
    let rest: Vec<_> = log
        .read_after(5, 100)
        .await
        .unwrap()
        .iter()
        .map(|e| e.sequence)
        .collect();
    assert_eq!(rest, [6, 7]);
}

#[tokio::test]
async fn two_relays_number_nothing_twice() {
    let world = World::new().await;
    for _ in 0..50 {
        world.write(2).await;
    }
    let other = world.relay.clone();
    let (one, two) = tokio::join!(
        async {
            for _ in 0..20 {
                world.relay.tick().await.unwrap();
            }
        },
        async {
            for _ in 0..20 {
                other.tick().await.unwrap();
            }
        },
    );
    let _: ((), ()) = (one, two);
    while world.relay.tick().await.unwrap() {}
    let events = Log::new(world.database.clone())
        .read_after(0, 1_000)
        .await
        .unwrap();
    let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_consumer_applies_each_event_once_and_in_order() {
    let world = World::new().await;
    let recorder = Recorder::default();
    let consumer = world.consumer(recorder.clone());
    world.write(3).await;
    world.relay.tick().await.unwrap();
    assert!(consumer.tick().await.unwrap());
    world.write(2).await;
    world.relay.tick().await.unwrap();
    assert!(consumer.tick().await.unwrap());
    assert!(!consumer.tick().await.unwrap());
    // Another process of the same service starts where the cursor is.
    assert!(!world.consumer(recorder.clone()).tick().await.unwrap());
    assert_eq!(*recorder.applied.lock().unwrap(), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn events_that_concern_nobody_cost_no_commit_until_there_is_time() {
    let world = World::new().await;
    let recorder = Recorder::default();
    let consumer = world.consumer(recorder.clone());
    let stored = async || -> i64 {
        sqlx::query_scalar("select coalesce(max(sequence), 0) from consumer_cursor")
            .fetch_one(world.database.internal_pool())
            .await
            .unwrap()
    };
    let pass = async |events: Vec<NewEvent>| {
        world.write_all(events).await;
        world.relay.tick().await.unwrap();
        assert!(consumer.tick().await.unwrap());
    };
    pass(vec![event_of("task.ignored"), event_of("task.ignored")]).await;
    assert_eq!(stored().await, 0);
    pass(vec![event()]).await;
    assert_eq!(stored().await, 3);
    pass(vec![event_of("task.ignored")]).await;
    assert_eq!(stored().await, 3);
    // Another process of the same service passes over it as well, and then there is time.
    let other = world.consumer(recorder.clone());
    assert!(other.tick().await.unwrap());
    assert!(!other.tick().await.unwrap());
    assert_eq!(stored().await, 4);
    pass(vec![event_of("task.ignored"), event()]).await;
    assert!(!consumer.tick().await.unwrap());
    assert_eq!(*recorder.applied.lock().unwrap(), [3, 5, 6]);
}

#[tokio::test]
async fn a_failing_handler_moves_no_cursor() {
    let world = World::new().await;
    let recorder = Recorder::default();
    *recorder.failing.lock().unwrap() = true;
    let consumer = world.consumer(recorder.clone());
    world.write(2).await;
    world.relay.tick().await.unwrap();
    assert!(consumer.tick().await.is_err());
    *recorder.failing.lock().unwrap() = false;
    assert!(consumer.tick().await.unwrap());
    assert_eq!(*recorder.applied.lock().unwrap(), [1, 2]);
}

#[tokio::test]
async fn what_the_stream_lost_is_read_from_the_owner() {
    let world = World::new().await;
    let recorder = Recorder::default();
    let consumer = world.consumer(recorder.clone());
    // A Redis of another prefix stands for one that came back empty: the relay publishes there,
    // and the consumer's stream never hears of it.
    let server = reeve_testkit::redis().await;
    let elsewhere = Redis::connect(&RedisConfig::new(&server.url).with_prefix(&server.prefix))
        .await
        .unwrap();
    let deaf = Relay::new(world.database.clone(), &elsewhere, SOURCE, Wake::new());
    world.write(2).await;
    deaf.tick().await.unwrap();
    assert!(consumer.tick().await.unwrap());
    // A gap: the stream has only what came after the loss.
    world.write(1).await;
    deaf.tick().await.unwrap();
    world.write(1).await;
    world.relay.tick().await.unwrap();
    while consumer.tick().await.unwrap() {}
    assert_eq!(*recorder.applied.lock().unwrap(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn two_consumers_of_a_name_share_the_work() {
    let world = World::new().await;
    let recorder = Recorder::default();
    let (one, two) = (
        world.consumer(recorder.clone()),
        world.consumer(recorder.clone()),
    );
    for _ in 0..20 {
        world.write(5).await;
        world.relay.tick().await.unwrap();
        let (a, b) = tokio::join!(one.tick(), two.tick());
        a.unwrap();
        b.unwrap();
    }
    while one.tick().await.unwrap() {}
    assert_eq!(
        *recorder.applied.lock().unwrap(),
        (1..=100).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_wake_tells_how_long_the_log_is() {
    let world = World::new().await;
    let wake = Wake::new();
    let relay = Relay::new(world.database.clone(), &world.redis, SOURCE, wake.clone());
    let mut head = wake.head();
    world.write(4).await;
    relay.tick().await.unwrap();
    head.changed().await.unwrap();
    assert_eq!(*head.borrow(), 4);
}

#[tokio::test]
async fn a_great_many_large_events_fit_into_every_answer() {
    let world = World::new().await;
    let mut tx = world.database.internal().await.unwrap();
    let large = |_| event().with(serde_json::json!({"message": "x".repeat(8_000)}));
    let events = (0..1_000).map(large).collect();
    reeve_events::append(&mut tx, SOURCE, events).await.unwrap();
    tx.commit().await.unwrap();
    while world.relay.tick().await.unwrap() {}
    let log = Log::new(world.database.clone());
    let (mut cursor, mut reads) = (0, 0);
    while let Some(last) = log.read_after(cursor, 1_000).await.unwrap().last() {
        let read = log.read_after(cursor, 1_000).await.unwrap();
        let bytes: usize = read.iter().map(prost::Message::encoded_len).sum();
        assert!(bytes < 3 * 1024 * 1024, "{bytes} bytes in one read");
        assert_eq!(read[0].sequence, cursor + 1);
        cursor = last.sequence;
        reads += 1;
    }
    assert_eq!(cursor, 1_000);
    assert!(reads > 1);
}

impl World {
    async fn count(&self, table: &str) -> i64 {
        let count = format!("select count(*) from {table}");
        sqlx::query_scalar(sqlx::AssertSqlSafe(count))
            .fetch_one(self.database.internal_pool())
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn expiry_drops_all_that_is_old_and_nothing_else() {
    let world = World::new().await;
    let fill = "insert into event_log (first_sequence, last_sequence, events, create_time)
                select n, n, '', now() - make_interval(days => case when n <= 2500 then 15 else 1 end)
                from generate_series(1, 2503) n";
    sqlx::raw_sql(fill)
        .execute(world.database.internal_pool())
        .await
        .unwrap();
    sqlx::raw_sql("update event_head set last_sequence = 2503")
        .execute(world.database.internal_pool())
        .await
        .unwrap();
    let mut passes = 1;
    while world.relay.expire().await.unwrap() {
        passes += 1;
    }
    assert_eq!((passes, world.count("event_log").await), (3, 3));
}

#[tokio::test]
async fn a_pass_of_the_relay_is_bounded_by_bytes() {
    let world = World::new().await;
    let mut tx = world.database.internal().await.unwrap();
    for _ in 0..9 {
        let large = |_| event().with(serde_json::json!({"message": "x".repeat(50_000)}));
        let events = (0..20).map(large).collect();
        reeve_events::append(&mut tx, SOURCE, events).await.unwrap();
    }
    tx.commit().await.unwrap();
    let rows = world.count("outbox").await;
    assert!(world.relay.tick().await.unwrap());
    let moved: i64 = sqlx::query_scalar("select sum(octet_length(events)) from event_log")
        .fetch_one(world.database.internal_pool())
        .await
        .unwrap();
    assert!(moved < 5 * 1024 * 1024, "{moved} bytes in one pass");
    while world.relay.tick().await.unwrap() {}
    assert_eq!(world.count("event_log").await, rows);
    let recorder = Recorder::default();
    let consumer = world.consumer(recorder.clone());
    while consumer.tick().await.unwrap() {}
    assert_eq!(
        *recorder.applied.lock().unwrap(),
        (1..=180).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_tenants_transaction_writes_events_and_reads_none() {
    let world = World::new().await;
    world.write(2).await;
    world.relay.tick().await.unwrap();
    let consumer = world.consumer(Recorder::default());
    assert!(consumer.tick().await.unwrap());
    let mut tx = world.database.tenant(TenantId::new()).await.unwrap();
    reeve_events::append(&mut tx, SOURCE, vec![event()])
        .await
        .unwrap();
    for table in ["outbox", "event_log", "consumer_cursor"] {
        let count = format!("select count(*) from {table}");
        let seen: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count))
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        assert_eq!(seen, 0, "{table}");
    }
    tx.commit().await.unwrap();
    for table in ["outbox", "event_log", "consumer_cursor"] {
        assert_eq!(world.count(table).await, 1, "{table}");
    }
}
