//! Calling another service.

use std::sync::atomic::Ordering;

use reeve_auth::ServiceTokens;
use reeve_contracts::event::v1::GetEventRequest;
use reeve_contracts::event::v1::event_service_client::EventServiceClient;
use reeve_ids::TenantId;
use reeve_runtime::Peer;
use reeve_status::{Code, Fault, Reason};

use crate::host::{Host, SECRET};

fn peer(url: &str) -> Peer {
    Peer::new("test", url, "caller", ServiceTokens::new(SECRET)).expect("a URL")
}

async fn ask(
    peer: &Peer,
    tenant: TenantId,
    event_id: &str,
) -> Result<reeve_contracts::event::v1::Event, Fault> {
    let client = EventServiceClient::new(peer.channel());
    let response = peer.call(async || {
        let message = GetEventRequest {
            event_id: event_id.into(),
        };
        client
            .clone()
            .get_event(peer.request(tenant, message))
            .await
    });
    Ok(response
        .await?
        .event
        .and_then(|logged| logged.event)
        .unwrap_or_default())
}

#[tokio::test]
async fn a_service_acts_for_the_tenant_it_names_within_a_deadline() {
    let host = Host::start().await;
    let (peer, tenant) = (peer(&format!("http://{}", host.grpc)), TenantId::new());
    let event = ask(&peer, tenant, "ok").await.unwrap();
    assert_eq!(event.tenant_id, tenant.to_string());
    let left: u64 = event.resource_id.parse().unwrap();
    assert!((1..=5_000).contains(&left), "{left} ms");
    event
        .traceparent
        .parse::<reeve_runtime::TraceContext>()
        .expect("a trace");
}

#[tokio::test]
async fn an_unavailable_peer_is_asked_again_and_any_other_answer_stands() {
    let host = Host::start().await;
    let peer = peer(&format!("http://{}", host.grpc));
    ask(&peer, TenantId::new(), "flaky")
        .await
        .expect("the third try");
    assert_eq!(host.inside.flaky.load(Ordering::SeqCst), 3);
    let absent = ask(&peer, TenantId::new(), "absent").await.unwrap_err();
    assert_eq!(
        (absent.code(), absent.reason()),
        (Code::NotFound, Reason::ResourceNotFound)
    );
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let fault = ask(&peer(&nobody), TenantId::new(), "ok")
        .await
        .unwrap_err();
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::Unavailable, Reason::PeerUnavailable)
    );
}
