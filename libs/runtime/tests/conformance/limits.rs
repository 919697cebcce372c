//! What a client may ask of the server at most.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reeve_contracts::event::v1::ListEventsRequest;
use reeve_contracts::task::v1::LeaseTasksRequest;
use reeve_contracts::task::v1::work_service_client::WorkServiceClient;
use reeve_runtime::MAX_MESSAGE_BYTES;
use reeve_status::{Code, Reason};
use tonic::codec::CompressionEncoding;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::host::{Host, KEY, get, patient, skip, subscribe, with_key};
use crate::wire::{eventually, fault};

fn list(bytes: usize) -> tonic::Request<ListEventsRequest> {
    let page_token = "x".repeat(bytes);
    with_key(
        ListEventsRequest {
            page_token,
            ..Default::default()
        },
        KEY,
    )
}

#[tokio::test]
async fn a_message_that_is_too_large_is_resource_exhausted_both_ways() {
    let host = Host::start().await;
    let (_, mut client) = host.connect().await;
    client
        .list_events(list(MAX_MESSAGE_BYTES - 64))
        .await
        .expect("just within the limit");
    let inward = client
        .list_events(list(MAX_MESSAGE_BYTES + 1))
        .await
        .unwrap_err();
    let outward = client.get_event(get("large")).await.unwrap_err();
    let mut zipping = client.clone().send_compressed(CompressionEncoding::Gzip);
    let bomb = zipping.list_events(list(16 << 20)).await.unwrap_err();
    for (status, way) in [(inward, "in"), (outward, "out"), (bomb, "compressed")] {
        let fault = fault(&status);
        let found = (fault.code(), fault.reason());
        assert_eq!(
            found,
            (Code::ResourceExhausted, Reason::PayloadTooLarge),
            "{way}: {fault}"
        );
    }
    client
        .get_event(get("ok"))
        .await
        .expect("the connection stays usable");
}

#[tokio::test]
async fn work_beyond_the_limit_is_refused_at_once() {
    let host = Host::with(|settings| settings.limits.calls_in_flight = 1).await;
    let (connection, mut client) = host.connect().await;
    let mut first = client.clone();
    let held = reeve_runtime::spawn("held", async move { first.get_event(get("hold")).await });
    eventually("the first call is at work", async || {
        host.inside.held.load(Ordering::SeqCst) == 1
    })
    .await;

    let fault = fault(&client.get_event(get("ok")).await.unwrap_err());
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::ResourceExhausted, Reason::Overloaded)
    );
    assert!(fault.retry_after().is_some(), "RetryInfo is missing");
    assert_eq!(fault.quotas()[0].subject, "server/calls_in_flight");
    assert_eq!(fault.quotas()[0].description, "1 of 1");
    let mut health = HealthClient::new(connection);
    health
        .check(HealthCheckRequest::default())
        .await
        .expect("health is always answered");
    client
        .subscribe_events(subscribe(""))
        .await
        .expect("streams have room of their own");

    host.inside.gate.notify_one();
    held.await
        .unwrap()
        .unwrap()
        .expect("the first call ends well");
    client
        .get_event(get("ok"))
        .await
        .expect("there is room again");
}

#[tokio::test]
async fn those_who_wait_leave_room_for_those_who_work() {
    let host = Host::with(|settings| settings.limits.long_polls = 1).await;
    let (connection, mut client) = host.connect().await;
    let poll = || {
        let mut client = WorkServiceClient::new(connection.clone());
        async move {
            let mut request = with_key(LeaseTasksRequest::default(), KEY);
            request.set_timeout(Duration::from_secs(60));
            client.lease_tasks(request).await
        }
    };
    let first = reeve_runtime::spawn("poll", poll());
    eventually("the first poll waits", async || {
        host.inside.held.load(Ordering::SeqCst) == 1
    })
    .await;
    let fault = fault(&poll().await.unwrap_err());
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::ResourceExhausted, Reason::Overloaded)
    );
    assert_eq!(fault.quotas()[0].subject, "server/long_polls");
    client
        .get_event(get("ok"))
        .await
        .expect("calls that work have room of their own");
    host.inside.gate.notify_one();
    first.await.unwrap().unwrap().expect("the first poll ends");
}

#[tokio::test]
async fn a_stream_gives_its_room_back_when_its_client_leaves() {
    let host = Host::with(|settings| settings.limits.open_streams = 1).await;
    let (_, mut client) = host.connect().await;
    let mut stream = client
        .subscribe_events(subscribe(""))
        .await
        .unwrap()
        .into_inner();
    stream.message().await.unwrap().expect("the first message");
    let refused = client.subscribe_events(subscribe("")).await.unwrap_err();
    assert_eq!(fault(&refused).reason(), Reason::Overloaded);
    drop(stream);
    eventually("there is room again", async || {
        client.clone().subscribe_events(subscribe("")).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_connection_has_so_many_calls_open_and_no_more() {
    let host = Host::with(|settings| settings.limits.streams_per_connection = 1).await;
    let (_, mut client) = host.connect().await;
    client
        .get_event(get("ok"))
        .await
        .expect("the client has heard of the limit");
    let stream = client.subscribe_events(subscribe("")).await.unwrap();
    let mut second = client.clone();
    let second = reeve_runtime::spawn("second", async move { second.get_event(get("hold")).await });
    // Another connection asks later and has further to go, so the second call would be there first.
    let (_, mut other) = host.connect().await;
    for _ in 0..3 {
        other.get_event(get("ok")).await.expect("others have room");
    }
    let held = || host.inside.held.load(Ordering::SeqCst);
    assert_eq!(held(), 0, "a second call was let through");
    drop(stream);
    eventually("there is room again", async || held() == 1).await;
    host.inside.gate.notify_one();
    second
        .await
        .unwrap()
        .unwrap()
        .expect("the second call ends");
}

#[tokio::test]
async fn metadata_beyond_the_limit_is_refused_and_the_connection_lives() {
    let host = Host::start().await;
    let (connection, mut client) = host.connect().await;
    let mut request = get("ok");
    request
        .metadata_mut()
        .insert("x-large", "x".repeat(20_000).parse().unwrap());
    let refused = client
        .get_event(request)
        .await
        .expect_err("more metadata than the server reads");
    assert!(refused.message().contains("431"), "{refused:?}");
    drop(connection);
    client
        .get_event(get("ok"))
        .await
        .expect("the connection stays usable");
}

#[tokio::test]
async fn an_old_connection_is_replaced_and_its_streams_end_resumably() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let host = Host::with(|settings| {
        patient(&mut settings.limits);
        settings.limits.connection_age = HOUR;
        settings.limits.connection_grace = HOUR;
    })
    .await;
    let (_, mut client) = host.connect().await;
    let mut stream = client
        .subscribe_events(subscribe(""))
        .await
        .unwrap()
        .into_inner();
    stream.message().await.unwrap().expect("the first message");
    client.get_event(get("ok")).await.expect("it is young");
    skip(HOUR * 2).await;
    eventually("the connection takes no more calls", async || {
        client.clone().get_event(get("ok")).await.is_err()
    })
    .await;
    let open = host.inside.streams.load(Ordering::SeqCst);
    assert_eq!(open, 1, "a stream goes on for the grace");
    skip(HOUR).await;
    let fault = fault(&stream.message().await.unwrap_err());
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::Unavailable, Reason::StreamExpired)
    );
    let (_, mut client) = host.connect().await;
    client.get_event(get("ok")).await.expect("a new connection");
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code() {
    let host = Host::start().await;
    let (mut connection, mut client) = host.connect().await;
    client.get_event(get("ok")).await.unwrap();
    client.get_event(get("absent")).await.unwrap_err();
    crate::wire::raw(&mut connection, "/made.Up/Name", &[], vec![]).await;
    let stream = client.subscribe_events(subscribe("")).await.unwrap();
    drop(stream);
    let count = |method: &str, code: &str| {
        format!(
            "rpc_server_call_duration_seconds_count{{rpc_system_name=\"grpc\",\
             rpc_method=\"{method}\",rpc_response_status_code=\"{code}\"}} 1\n"
        )
    };
    let expected = [
        count("reeve.event.v1.EventService/GetEvent", "OK"),
        count("reeve.event.v1.EventService/GetEvent", "NOT_FOUND"),
        count("reeve.event.v1.EventService/SubscribeEvents", "CANCELLED"),
        count("_OTHER", "UNIMPLEMENTED"),
    ];
    eventually("every call is counted", async || {
        let (_, page) = crate::wire::get(host.admin, "/metrics").await;
        expected.iter().all(|line| page.contains(line))
    })
    .await;
    let (_, page) = crate::wire::get(host.admin, "/metrics").await;
    assert!(!page.contains("made.Up"), "a made-up name became a label");
}
