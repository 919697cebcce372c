//! Calling another service.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use reeve_auth::ServiceTokens;
use reeve_contracts::event::v1::GetEventRequest;
use reeve_contracts::event::v1::event_service_client::EventServiceClient;
use reeve_ids::TenantId;
use reeve_runtime::Peer;
use reeve_status::{Code, Fault, Reason};
use tokio::net::{TcpListener, TcpStream};

use crate::host::{Host, SECRET, get};
use crate::wire::eventually;

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
    assert!(fault.retry_after().is_some(), "RetryInfo is missing");
}

#[tokio::test]
async fn the_log_hears_once_that_a_peer_is_away_and_once_that_it_is_back() {
    let log = Page::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(lines);
    let host = Host::start().await;
    let (door, open) = door_to(host.grpc).await;
    let peer = peer(&format!("http://{door}"));
    let count = |text: &str| log.text().matches(text).count();
    for _ in 0..2 {
        ask(&peer, TenantId::new(), "ok").await.unwrap_err();
    }
    assert_eq!(count("the peer cannot be reached"), 1, "{}", log.text());
    assert_eq!(count("said="), 1, "the cause is in {}", log.text());

    open.store(true, Ordering::SeqCst);
    reeve_testkit::eventually(async || ask(&peer, TenantId::new(), "ok").await).await;
    ask(&peer, TenantId::new(), "ok").await.unwrap();
    assert_eq!(count("the peer answers again"), 1, "{}", log.text());
    assert_eq!(count("the peer cannot be reached"), 1, "{}", log.text());
}

/// An address that leads to another while it is open, and sends everybody away before.
async fn door_to(inside: SocketAddr) -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let open = Arc::new(AtomicBool::new(false));
    let opened = open.clone();
    reeve_runtime::spawn("door", async move {
        while let Ok((mut outer, _)) = listener.accept().await {
            if !opened.load(Ordering::SeqCst) {
                continue;
            }
            reeve_runtime::spawn("visitor", async move {
                let mut inner = TcpStream::connect(inside).await.expect("it listens");
                let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
            });
        }
    });
    (address, open)
}

#[tokio::test]
async fn a_peer_that_refuses_this_service_is_no_fault_of_the_caller() {
    let host = Host::start().await;
    let url = format!("http://{}", host.grpc);
    let tokens = ServiceTokens::new("another secret of thirty-two characters");
    let stranger = Peer::new("test", &url, "caller", tokens).expect("a URL");
    let fault = ask(&stranger, TenantId::new(), "ok").await.unwrap_err();
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::Unavailable, Reason::PeerUnavailable)
    );
    assert_eq!(fault.metadata()["peer"], "test");
    assert!(fault.retry_after().is_some(), "RetryInfo is missing");
}

#[tokio::test]
async fn a_peer_with_too_much_to_do_is_unavailable() {
    let host = Host::with(|settings| settings.limits.calls_in_flight = 1).await;
    let peer = peer(&format!("http://{}", host.grpc));
    let (_, mut client) = host.connect().await;
    let held = reeve_runtime::spawn("held", async move { client.get_event(get("hold")).await });
    eventually("the call is at work", async || {
        host.inside.held.load(Ordering::SeqCst) == 1
    })
    .await;
    let fault = ask(&peer, TenantId::new(), "ok").await.unwrap_err();
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::Unavailable, Reason::PeerUnavailable)
    );
    assert!(fault.retry_after().is_some(), "RetryInfo is missing");
    host.inside.gate.notify_one();
    held.await.unwrap().unwrap().expect("the held call ends");
}

/// What was logged.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
