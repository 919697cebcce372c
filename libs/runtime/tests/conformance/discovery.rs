//! Health, reflection and the admin port: open to everyone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prost::Message as _;
use reeve_runtime::ReadyProbe;
use reeve_status::{Code, Reason};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::host::{Host, NAME};
use crate::wire::{eventually, fault, get};

fn check(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.into(),
    }
}

#[tokio::test]
async fn health_knows_the_server_and_each_service() {
    let host = Host::start().await;
    let mut health = HealthClient::new(host.connect().await.0);
    for service in ["", NAME] {
        eventually("the server serves", async || {
            let answer = health
                .clone()
                .check(check(service))
                .await
                .unwrap()
                .into_inner();
            answer.status() == ServingStatus::Serving
        })
        .await;
    }
    let unknown = fault(&health.check(check("no.Service")).await.unwrap_err());
    assert_eq!(
        (unknown.code(), unknown.reason()),
        (Code::NotFound, Reason::ResourceNotFound)
    );
    let long = fault(&health.check(check(&"x".repeat(1 << 20))).await.unwrap_err());
    assert_eq!(
        (long.code(), long.reason()),
        (Code::InvalidArgument, Reason::ValidationFailed)
    );
    let mut watch = health
        .watch(check("no.Service"))
        .await
        .unwrap()
        .into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
}

#[tokio::test]
async fn readiness_follows_the_probe_and_health_follows_readiness() {
    let up = Arc::new(AtomicBool::new(true));
    let seen = up.clone();
    let probe = ReadyProbe::new(move || {
        let up = seen.load(Ordering::SeqCst);
        async move {
            if up {
                Ok(())
            } else {
                Err("the database is away")
            }
        }
    });
    let host = Host::ready_when(probe, |_| {}).await;
    let mut health = HealthClient::new(host.connect().await.0);
    let mut watch = health.watch(check(NAME)).await.unwrap().into_inner();
    let mut next = async || watch.message().await.unwrap().unwrap().status();
    if next().await != ServingStatus::Serving {
        assert_eq!(next().await, ServingStatus::Serving);
    }
    assert_eq!(get(host.admin, "/readyz").await.0, 200);
    up.store(false, Ordering::SeqCst);
    assert_eq!(next().await, ServingStatus::NotServing);
    assert_eq!(get(host.admin, "/readyz").await.0, 503);
    assert_eq!(
        get(host.admin, "/livez").await.0,
        200,
        "a database that is away is no reason to die"
    );
    up.store(true, Ordering::SeqCst);
    assert_eq!(next().await, ServingStatus::Serving);
}

#[tokio::test]
async fn the_admin_port_names_the_version() {
    let host = Host::start().await;
    let (code, body) = get(host.admin, "/version").await;
    let version: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, &version["service"]), (200, &"test".into()));
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert!(
        get(host.admin, "/metrics")
            .await
            .1
            .contains("reeve_build_info")
    );
    assert_eq!(get(host.admin, "/else").await.0, 404);
}

macro_rules! reflection_test {
    ($name:ident, $version:ident) => {
        #[tokio::test]
        async fn $name() {
            use tonic_reflection::pb::$version::ServerReflectionRequest;
            use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
            use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
            use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;

            let host = Host::start().await;
            let client = ServerReflectionClient::new(host.connect().await.0);
            let ask = async |question| {
                let request = ServerReflectionRequest {
                    message_request: Some(question),
                    ..Default::default()
                };
                let mut client = client.clone();
                let answers = client.server_reflection_info(futures::stream::iter([request]));
                let answer = answers.await.unwrap().into_inner().message().await.unwrap();
                answer
                    .expect("one answer")
                    .message_response
                    .expect("an answer")
            };
            let listed = ask(MessageRequest::ListServices(String::new())).await;
            let MessageResponse::ListServicesResponse(listed) = listed else {
                panic!("{listed:?}")
            };
            let names: Vec<_> = listed
                .service
                .iter()
                .map(|service| service.name.as_str())
                .collect();
            assert!(names.contains(&NAME) && names.contains(&"grpc.health.v1.Health"));
            assert!(
                !names.contains(&"reeve.event.v1.EventFeedService"),
                "not served here"
            );
            for symbol in [
                NAME,
                "reeve.event.v1.Event",
                "google.rpc.ErrorInfo",
                "google.protobuf.Struct",
            ] {
                let found = ask(MessageRequest::FileContainingSymbol(symbol.into())).await;
                let MessageResponse::FileDescriptorResponse(found) = found else {
                    panic!("{symbol}: {found:?}")
                };
                for file in &found.file_descriptor_proto {
                    prost_types::FileDescriptorProto::decode(&file[..]).expect("a descriptor");
                }
            }
        }
    };
}

reflection_test!(reflection_v1_describes_everything, v1);
reflection_test!(reflection_v1alpha_describes_everything, v1alpha);
