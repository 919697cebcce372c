//! Deadlines: the caller's and the default.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use reeve_status::{Code, Reason};
use tonic::Status;

use crate::calls::still_works;
use crate::host::{Host, get, patient, skip, subscribe};
use crate::wire::{eventually, fault};

fn assert_late(status: &Status) {
    let fault = fault(status);
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::DeadlineExceeded, Reason::DeadlinePassed)
    );
}

#[tokio::test]
async fn a_deadline_ends_a_call_with_deadline_exceeded_and_drops_its_work() {
    let host = Host::start().await;
    let (_, mut client) = host.connect().await;
    let mut request = get("late");
    request.set_timeout(Duration::from_millis(100));
    let began = Instant::now();
    assert_late(&client.get_event(request).await.unwrap_err());
    assert!(began.elapsed() >= Duration::from_millis(100));
    eventually("the handler is dropped", async || {
        host.inside.held.load(Ordering::SeqCst) == 0
    })
    .await;
    still_works(&mut client).await;
}

#[tokio::test]
async fn a_unary_call_without_a_deadline_gets_the_default() {
    let host =
        Host::with(|settings| settings.limits.unary_deadline = Duration::from_millis(100)).await;
    let (_, mut client) = host.connect().await;
    assert_late(&client.get_event(get("late")).await.unwrap_err());
}

#[tokio::test]
async fn a_handler_can_ask_how_long_its_caller_waits() {
    let host = Host::start().await;
    let (_, mut client) = host.connect().await;
    let mut request = get("ok");
    request.set_timeout(Duration::from_secs(7));
    let event = client
        .get_event(request)
        .await
        .unwrap()
        .into_inner()
        .event
        .unwrap();
    let left: u64 = event.event.unwrap().resource_id.parse().unwrap();
    assert!((1_000..=7_000).contains(&left), "{left} ms");
}

#[tokio::test]
async fn a_deadline_ends_a_stream_too_and_a_stream_without_one_goes_on() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let host = Host::with(|settings| {
        patient(&mut settings.limits);
        settings.limits.unary_deadline = HOUR;
    })
    .await;
    let (_, mut client) = host.connect().await;
    let mut endless = client
        .subscribe_events(subscribe(""))
        .await
        .unwrap()
        .into_inner();
    endless.message().await.unwrap().expect("the first message");

    let mut request = subscribe("");
    request.set_timeout(HOUR);
    let mut stream = client.subscribe_events(request).await.unwrap().into_inner();
    stream.message().await.unwrap().expect("the first message");
    skip(HOUR * 2).await;
    assert_late(&stream.message().await.unwrap_err());
    eventually("the late stream is dropped, the other is not", async || {
        host.inside.streams.load(Ordering::SeqCst) == 1
    })
    .await;
}
