//! Who may call what.

use reeve_contracts::event::v1::GetEventRequest;
use reeve_status::{Code, Reason};
use tonic::Request;

use crate::host::{Host, KEY, POOR_KEY, with_key};
use crate::wire::fault;

fn bare() -> Request<GetEventRequest> {
    Request::new(GetEventRequest {
        event_id: "ok".into(),
    })
}

fn with_metadata(name: &'static str, value: &str) -> Request<GetEventRequest> {
    let mut request = bare();
    request
        .metadata_mut()
        .insert(name, value.parse().expect("ASCII"));
    request
}

#[tokio::test]
async fn a_key_is_taken_from_either_header() {
    let host = Host::start().await;
    let (_, mut client) = host.connect().await;
    let bearer = format!("bearer {KEY}");
    for request in [
        with_metadata("authorization", &bearer),
        with_metadata("x-api-key", KEY),
    ] {
        client.get_event(request).await.expect("the key is good");
    }
}

#[tokio::test]
async fn without_a_good_credential_nothing_is_answered() {
    let host = Host::start().await;
    let (_, mut client) = host.connect().await;
    let cases = [
        (bare(), Reason::CredentialMissing),
        (with_metadata("x-api-key", ""), Reason::CredentialMissing),
        (
            with_metadata("authorization", "Bearer "),
            Reason::CredentialInvalid,
        ),
        (
            with_metadata("authorization", "Basic eDp5"),
            Reason::CredentialInvalid,
        ),
        (
            with_metadata("authorization", "Bearer wrong"),
            Reason::CredentialInvalid,
        ),
        (
            with_metadata("x-api-key", "wrong"),
            Reason::CredentialInvalid,
        ),
    ];
    for (request, reason) in cases {
        let shown = format!("{:?}", request.metadata());
        let fault = fault(&client.get_event(request).await.unwrap_err());
        assert_eq!(
            (fault.code(), fault.reason()),
            (Code::Unauthenticated, reason),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_credential_without_the_permission_hears_which_it_lacks() {
    let host = Host::start().await;
    let (_, mut client) = host.connect().await;
    let request = with_key(
        GetEventRequest {
            event_id: "ok".into(),
        },
        POOR_KEY,
    );
    let fault = fault(&client.get_event(request).await.unwrap_err());
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::PermissionDenied, Reason::PermissionMissing)
    );
    assert_eq!(fault.metadata()["permission"], "events.get");
}
