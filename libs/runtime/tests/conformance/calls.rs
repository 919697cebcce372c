//! Calls: errors, ids, traces.

use reeve_contracts::event::v1::event_service_client::EventServiceClient;
use reeve_status::{Code, Reason};
use tonic::codec::CompressionEncoding;

use crate::host::{Host, KEY, get, subscribe};
use crate::wire::{Connection, fault, raw};

const GET: &str = "/reeve.event.v1.EventService/GetEvent";

pub async fn still_works(client: &mut EventServiceClient<Connection>) {
    client
        .get_event(get("ok"))
        .await
        .expect("the connection stays usable");
}

#[tokio::test]
async fn a_body_that_does_not_decode_is_the_callers_mistake() {
    let host = Host::start().await;
    let (mut connection, mut client) = host.connect().await;
    let bearer = format!("Bearer {KEY}");
    let auth = [("authorization", bearer.as_str())];
    let bodies: [(&str, Vec<u8>); 4] = [
        ("not protobuf", vec![0, 0, 0, 0, 3, 0xff, 0xff, 0xff]),
        (
            "a string that is not UTF-8",
            vec![0, 0, 0, 0, 3, 0x0a, 1, 0xff],
        ),
        ("a frame cut short", vec![0, 0, 0, 0, 9, 1]),
        ("no message", vec![]),
    ];
    for (what, body) in bodies {
        let (_, status) = raw(&mut connection, GET, &auth, body).await;
        let fault = fault(&status.unwrap_or_else(|| panic!("{what}: no status")));
        let found = (fault.code(), fault.reason());
        assert_eq!(
            found,
            (Code::InvalidArgument, Reason::ValidationFailed),
            "{what}"
        );
    }
    still_works(&mut client).await;
}

#[tokio::test]
async fn what_no_contract_has_is_unimplemented() {
    let host = Host::start().await;
    let (mut connection, mut client) = host.connect().await;
    let unserved = "/reeve.event.v1.EventFeedService/ReadEvents";
    for path in [
        "/reeve.event.v1.EventService/Nothing",
        "/no.Service/Method",
        unserved,
        "/",
    ] {
        let (http, status) = raw(&mut connection, path, &[], vec![0, 0, 0, 0, 0]).await;
        let fault = fault(&status.unwrap_or_else(|| panic!("{path}: HTTP {http}")));
        assert_eq!(http, 200);
        assert_eq!(
            (fault.code(), fault.reason()),
            (Code::Unimplemented, Reason::MethodUnknown)
        );
    }
    let request = http::Request::get("/")
        .body(tonic::body::Body::empty())
        .unwrap();
    let response = tower::ServiceExt::oneshot(connection, request)
        .await
        .unwrap();
    assert_eq!(response.status(), 415);
    still_works(&mut client).await;
}

#[tokio::test]
async fn a_panic_is_internal_and_the_server_lives() {
    let host = Host::start().await;
    let (_, mut client) = host.connect().await;
    let status = client.get_event(get("panic")).await.unwrap_err();
    assert_eq!(fault(&status).code(), Code::Internal);
    let mut stream = client
        .subscribe_events(subscribe("panic"))
        .await
        .unwrap()
        .into_inner();
    stream.message().await.unwrap().expect("the first message");
    let fault = fault(&stream.message().await.unwrap_err());
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::Internal, Reason::InternalError)
    );
    still_works(&mut client).await;
}

#[tokio::test]
async fn internal_text_stays_inside_and_the_trace_id_does_not() {
    let host = Host::start().await;
    let (_, mut client) = host.connect().await;
    let status = client.get_event(get("bug")).await.unwrap_err();
    assert!(!format!("{status:?}").contains("hunter2"), "{status:?}");
    let fault = fault(&status);
    assert_eq!(
        (fault.code(), fault.message()),
        (Code::Internal, "internal error")
    );
    assert_eq!(fault.metadata()["trace_id"].len(), 32);
    let mut stream = client
        .subscribe_events(subscribe("fail"))
        .await
        .unwrap()
        .into_inner();
    stream.message().await.unwrap().expect("the first message");
    let status = stream.message().await.unwrap_err();
    assert_eq!(crate::wire::fault(&status).code(), Code::Internal);
}

#[tokio::test]
async fn a_request_id_is_echoed_or_made() {
    let host = Host::start().await;
    let (_, mut client) = host.connect().await;
    let mut request = get("ok");
    request
        .metadata_mut()
        .insert("x-request-id", "mine-7".parse().unwrap());
    let response = client.get_event(request).await.unwrap();
    assert_eq!(response.metadata().get("x-request-id").unwrap(), "mine-7");
    let event = response.into_inner().event.unwrap().event.unwrap();
    assert_eq!(
        (event.request_id.as_str(), event.tenant_id),
        ("mine-7", host.tenant.to_string())
    );

    let mut request = get("absent");
    request
        .metadata_mut()
        .insert("x-request-id", "x".repeat(129).parse().unwrap());
    let status = client.get_event(request).await.unwrap_err();
    let made = status
        .metadata()
        .get("x-request-id")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    uuid::Uuid::try_parse(&made).expect("a UUID of the server's");
}

#[tokio::test]
async fn a_call_stays_within_the_callers_trace() {
    let host = Host::start().await;
    let (_, mut client) = host.connect().await;
    let mut traced = async |traceparent: Option<&str>| {
        let mut request = get("ok");
        if let Some(text) = traceparent {
            request
                .metadata_mut()
                .insert("traceparent", text.parse().unwrap());
        }
        let event = client
            .get_event(request)
            .await
            .unwrap()
            .into_inner()
            .event
            .unwrap();
        event.event.unwrap().traceparent
    };
    let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let seen = traced(Some(given)).await;
    assert!(
        seen.starts_with("00-0af7651916cd43dd8448eb211c80319c-"),
        "{seen}"
    );
    assert_ne!(seen, given, "the server has a span of its own");
    for nothing in [None, Some("garbage")] {
        traced(nothing)
            .await
            .parse::<reeve_runtime::TraceContext>()
            .expect("a trace of its own");
    }
}

#[tokio::test]
async fn gzip_is_accepted() {
    let host = Host::start().await;
    let (_, client) = host.connect().await;
    let mut client = client.send_compressed(CompressionEncoding::Gzip);
    still_works(&mut client).await;
}
