//! What a client streams to the server.

use reeve_contracts::task::v1::WorkRequest;
use reeve_runtime::MAX_MESSAGE_BYTES;
use reeve_status::{Code, Reason};

use crate::calls::still_works;
use crate::host::{Host, KEY};
use crate::wire::{fault, raw};

const WORK: &str = "/reeve.task.v1.WorkService/Work";

/// A message as it travels: whether it is compressed, its length, its bytes.
fn frame(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a short message");
    let mut frame = vec![0];
    frame.extend(length.to_be_bytes());
    frame.extend(bytes);
    frame
}

async fn answer(body: Vec<u8>) -> tonic::Status {
    let host = Host::start().await;
    let (mut connection, mut client) = host.connect().await;
    let bearer = format!("Bearer {KEY}");
    let (_, status) = raw(
        &mut connection,
        WORK,
        &[("authorization", bearer.as_str())],
        body,
    )
    .await;
    still_works(&mut client).await;
    status.expect("a status")
}

#[tokio::test]
async fn a_stream_of_messages_ends_well() {
    let message = frame(&prost::Message::encode_to_vec(&WorkRequest::default()));
    let status = answer([message.clone(), message].concat()).await;
    assert_eq!(status.code(), tonic::Code::Ok, "{status:?}");
}

#[tokio::test]
async fn a_broken_message_on_a_stream_is_the_callers_mistake() {
    let good = frame(&prost::Message::encode_to_vec(&WorkRequest::default()));
    for (what, bad) in [
        ("not protobuf", frame(&[0xff, 0xff, 0xff])),
        ("a frame cut short", vec![0, 0, 0, 0, 9, 1]),
        ("a frame of an unknown kind", vec![7, 0, 0, 0, 0]),
    ] {
        let fault = fault(&answer([good.clone(), bad].concat()).await);
        assert_eq!(
            (fault.code(), fault.reason()),
            (Code::InvalidArgument, Reason::ValidationFailed),
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_message_on_a_stream_that_is_too_large_is_resource_exhausted() {
    let fault = fault(&answer(frame(&vec![0; 5 << 20])).await);
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::ResourceExhausted, Reason::PayloadTooLarge)
    );
    let limit = MAX_MESSAGE_BYTES.to_string();
    assert_eq!(fault.metadata()["limit_bytes"], limit);
    assert!(fault.quotas()[0].description.contains(&limit));
}
