//! How a server stops.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt as _;
use reeve_status::{Code, Reason};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::host::{Host, get, patient, skip, subscribe};
use crate::wire::{self, eventually, fault};

#[tokio::test]
async fn a_drain_says_so_first_then_ends_streams_and_finishes_calls() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let host = Host::with(|settings| {
        patient(&mut settings.limits);
        settings.drain.notice = HOUR;
        settings.drain.finish = HOUR;
    })
    .await;
    let (connection, mut client) = host.connect().await;
    let mut stream = client
        .subscribe_events(subscribe(""))
        .await
        .unwrap()
        .into_inner();
    stream.message().await.unwrap().expect("the first message");
    let mut held = client.clone();
    let held = reeve_runtime::spawn("held", async move { held.get_event(get("hold")).await });
    eventually("the call is at work", async || {
        host.inside.held.load(Ordering::SeqCst) == 1
    })
    .await;
    let mut health = HealthClient::new(connection);
    let mut watch = health
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    eventually("the server is ready", async || {
        wire::get(host.admin, "/readyz").await.0 == 200
    })
    .await;

    host.shutdown.begin();
    eventually("probes fail", async || {
        wire::get(host.admin, "/readyz").await.0 == 503
    })
    .await;
    let answer = health
        .check(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.status(), ServingStatus::NotServing);
    client
        .get_event(get("ok"))
        .await
        .expect("calls are still answered during the notice");
    skip(HOUR).await;

    let end = fault(&stream.message().await.unwrap_err());
    assert_eq!(
        (end.code(), end.reason()),
        (Code::Unavailable, Reason::Draining)
    );
    let end = loop {
        match watch.message().await {
            Ok(message) => assert!(message.is_some(), "the watch ended well"),
            Err(status) => break fault(&status),
        }
    };
    assert_eq!(
        (end.code(), end.reason()),
        (Code::Unavailable, Reason::Draining)
    );
    TcpStream::connect(host.grpc)
        .await
        .expect_err("nobody is let in any more");

    host.inside.gate.notify_one();
    held.await
        .unwrap()
        .unwrap()
        .expect("the call under way finishes");
    let inside = host.inside.clone();
    host.ended().await;
    let carried = inside.carried.load(Ordering::SeqCst);
    assert_eq!(carried, 1, "what the last call left behind is carried away");
}

#[tokio::test]
async fn what_does_not_finish_is_cut_off() {
    let host = Host::with(|settings| settings.drain.finish = Duration::from_millis(300)).await;
    let (_, mut client) = host.connect().await;
    // A client that connects and never says anything must not hold the server either.
    let mut mute = TcpStream::connect(host.grpc).await.unwrap();
    let stuck = reeve_runtime::spawn("stuck", async move { client.get_event(get("late")).await });
    eventually("the call is at work", async || {
        host.inside.held.load(Ordering::SeqCst) == 1
    })
    .await;
    host.shutdown.begin();
    stuck
        .await
        .unwrap()
        .unwrap()
        .expect_err("the call is cut off");
    let inside = host.inside.clone();
    host.ended().await;
    assert_eq!(
        inside.held.load(Ordering::SeqCst),
        0,
        "the handler is dropped"
    );
    // An end or a reset; the greeting of the server comes before it.
    let _ = mute.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn a_second_request_stops_at_once() {
    let host = Host::with(|settings| settings.drain.notice = Duration::from_secs(3600)).await;
    host.shutdown.begin();
    eventually("the drain begins", async || {
        wire::get(host.admin, "/readyz").await.0 == 503
    })
    .await;
    host.shutdown.force();
    host.ended().await;
}

#[tokio::test]
async fn the_first_signal_drains_and_the_second_stops() {
    let shutdown = reeve_runtime::Shutdown::on_signals().expect("signals can be watched");
    let send = |signal: &str| {
        let pid = std::process::id().to_string();
        let sent = std::process::Command::new("kill")
            .args([signal, &pid])
            .status();
        assert!(sent.expect("kill is there").success());
    };
    send("-TERM");
    shutdown.begun().await;
    let forced = shutdown.forced().now_or_never();
    assert!(forced.is_none(), "one signal is not two");
    send("-INT");
    shutdown.forced().await;
}
