//! Event streams: numbered by their owner, appended at most once, read while waiting.

use std::time::Duration;

use reeve_redis::{Entry, Error};

use crate::support::{Server, eventually, soon};

fn entry(first_seq: i64, last_seq: i64) -> Entry {
    let payload = vec![0, b'\n', u8::try_from(last_seq % 251).unwrap(), 0xff];
    Entry {
        first_seq,
        last_seq,
        payload,
    }
}

#[tokio::test]
async fn an_entry_appended_twice_is_there_once() {
    let server = Server::start().await;
    let streams = server.handle().await.streams(10_000);
    assert_eq!(streams.last_id("events").await.unwrap(), None);
    assert_eq!(
        streams
            .append("events", &[entry(1, 3), entry(4, 4)])
            .await
            .unwrap(),
        2
    );
    // Another relay repeats the last batch and goes on.
    let again = [entry(1, 3), entry(4, 4), entry(5, 9)];
    assert_eq!(
        server
            .handle()
            .await
            .streams(10_000)
            .append("events", &again)
            .await
            .unwrap(),
        1
    );
    assert_eq!(streams.read_after("events", 0, 100).await.unwrap(), again);
    assert_eq!(streams.last_id("events").await.unwrap(), Some(9));
}

#[tokio::test]
async fn reading_resumes_after_the_cursor() {
    let server = Server::start().await;
    let streams = server.handle().await.streams(10_000);
    let all: Vec<_> = (1..=250).map(|seq| entry(seq, seq)).collect();
    assert_eq!(streams.append("events", &all).await.unwrap(), 250);
    let mut seen = Vec::new();
    loop {
        let cursor = seen.last().map_or(0, |entry: &Entry| entry.last_seq);
        let page = streams.read_after("events", cursor, 60).await.unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, all);
}

#[tokio::test]
async fn a_stream_is_trimmed_and_the_gap_shows() {
    let server = Server::start().await;
    let streams = server.handle().await.streams(100);
    let all: Vec<_> = (1..=1_000).map(|seq| entry(seq, seq)).collect();
    streams.append("events", &all).await.unwrap();
    let left = streams.read_after("events", 0, 2_000).await.unwrap();
    assert!((100..400).contains(&left.len()), "{}", left.len());
    assert!(left[0].first_seq > 1);
    assert_eq!(left.last().unwrap().last_seq, 1_000);
}

#[tokio::test]
async fn a_waiting_reader_gets_what_is_appended_and_disturbs_nobody() {
    let server = Server::start().await;
    let redis = server.handle().await;
    let streams = redis.streams(1_000);
    let mut reader = streams.reader("events");
    let waiting = tokio::spawn(async move {
        let entries = reader.read_after(0, 10, Duration::from_secs(60)).await;
        (reader, entries)
    });
    // Longer than the response timeout of the shared connection could hide behind it.
    for _ in 0..50 {
        redis.ping().await.unwrap();
    }
    streams.append("events", &[entry(1, 2)]).await.unwrap();
    let (mut reader, entries) = soon(waiting).await.unwrap();
    assert_eq!(entries.unwrap(), [entry(1, 2)]);
    let none = soon(reader.read_after(2, 10, Duration::from_millis(20)))
        .await
        .unwrap();
    assert!(none.is_empty());
}

#[tokio::test]
async fn a_reader_may_be_dropped_while_it_waits() {
    let server = Server::start().await;
    let streams = server.handle().await.streams(1_000);
    let mut reader = streams.reader("events");
    let given_up = tokio::time::timeout(
        Duration::from_millis(50),
        reader.read_after(0, 10, Duration::from_secs(600)),
    );
    assert!(given_up.await.is_err());
    streams.append("events", &[entry(1, 1)]).await.unwrap();
    let entries = soon(reader.read_after(0, 10, Duration::from_secs(1)))
        .await
        .unwrap();
    assert_eq!(entries, [entry(1, 1)]);
}

#[tokio::test]
async fn a_reader_survives_a_restart_and_the_stream_goes_on_with_its_numbers() {
    let mut server = Server::start().await;
    let streams = server.handle().await.streams(1_000);
    let mut reader = streams.reader("events");
    streams.append("events", &[entry(1, 5)]).await.unwrap();
    assert_eq!(
        reader
            .read_after(0, 10, Duration::from_secs(1))
            .await
            .unwrap()
            .len(),
        1
    );
    server.kill();
    let away = soon(reader.read_after(5, 10, Duration::from_secs(1))).await;
    assert!(away.is_err_and(|error| error.is_transient()));
    server.restart().await;
    eventually(async || streams.append("events", &[entry(8, 9)]).await.is_ok()).await;
    let entries = soon(reader.read_after(5, 10, Duration::from_secs(1)))
        .await
        .unwrap();
    // 6 and 7 went down with Redis: the reader sees it and asks their owner.
    assert_eq!(entries, [entry(8, 9)]);
}

#[tokio::test]
async fn numbers_start_at_one() {
    let server = Server::start().await;
    let answer = server
        .handle()
        .await
        .streams(10)
        .append("events", &[entry(0, 0)])
        .await;
    assert!(matches!(answer, Err(Error::Invalid(_))));
}
