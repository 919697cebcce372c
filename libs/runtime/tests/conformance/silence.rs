//! Clients that connect and then do not speak, or not any more, and clients that connect too often.

use std::time::Duration;

use reeve_runtime::Settings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::host::{Host, get, patient};
use crate::wire::{self, connect, eventually};

/// How every client of HTTP/2 begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// SETTINGS without any.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Says `words`, and then only listens, until the server hangs up.
async fn until_sent_away(host: &Host, words: &[u8]) {
    let mut stream = TcpStream::connect(host.grpc).await.expect("it listens");
    stream.write_all(words).await.expect("it reads");
    // An end, or a reset when it did not read all that was said.
    let mut ignored = Vec::new();
    let ended = stream.read_to_end(&mut ignored);
    let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
    assert!(ended.is_ok(), "after {words:?} the server still waits");
}

#[tokio::test]
async fn who_does_not_finish_a_greeting_is_sent_away() {
    let host = Host::with(|settings| {
        patient(&mut settings.limits);
        settings.limits.handshake_timeout = Duration::from_millis(50);
    })
    .await;
    for words in [&b""[..], b"P", PREFACE] {
        until_sent_away(&host, words).await;
    }
}

#[tokio::test]
async fn who_does_not_answer_a_ping_is_sent_away() {
    let host = Host::with(|settings| {
        patient(&mut settings.limits);
        settings.limits.keepalive_interval = Duration::from_millis(20);
        settings.limits.keepalive_timeout = Duration::from_millis(20);
    })
    .await;
    until_sent_away(&host, &[PREFACE, SETTINGS].concat()).await;
}

#[tokio::test]
async fn a_drain_does_not_wait_for_who_never_greeted() {
    let host = Host::with(|settings| {
        patient(&mut settings.limits);
        settings.drain.finish = Duration::from_secs(24 * 3_600);
    })
    .await;
    let mut mute = TcpStream::connect(host.grpc).await.expect("it listens");
    mute.write_all(b"P").await.expect("it reads");
    let page = async || wire::get(host.admin, "/metrics").await.1;
    eventually("the connection is taken", async || {
        page().await.contains("reeve_grpc_connections 1\n")
    })
    .await;
    host.shutdown.begin();
    host.ended().await;
}

async fn refuses_a_second(change: impl FnOnce(&mut Settings)) {
    let host = Host::with(change).await;
    let (connection, mut client) = host.connect().await;
    client.get_event(get("ok")).await.expect("there is room");
    until_sent_away(&host, &[PREFACE, SETTINGS].concat()).await;
    let (_, page) = wire::get(host.admin, "/metrics").await;
    assert!(
        page.contains("reeve_grpc_connections_refused_total 1\n"),
        "{page}"
    );
    client
        .get_event(get("ok"))
        .await
        .expect("the first goes on");

    drop((connection, client));
    eventually("there is room again", async || {
        let (_, page) = wire::get(host.admin, "/metrics").await;
        page.contains("reeve_grpc_connections 0\n")
    })
    .await;
    let mut client = reeve_contracts::event::v1::event_service_client::EventServiceClient::new(
        connect(host.grpc).await,
    );
    client.get_event(get("ok")).await.expect("there is room");
}

#[tokio::test]
async fn there_are_so_many_connections_and_no_more() {
    refuses_a_second(|settings| settings.limits.connections = 1).await;
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_no_more() {
    refuses_a_second(|settings| settings.limits.connections_per_address = 1).await;
}
