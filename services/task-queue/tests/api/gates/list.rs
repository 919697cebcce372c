//! What people find waiting for them.

use reeve_contracts::task::v1::{self as proto, GateKind};
use reeve_ids::TenantId;
use reeve_status::{Code, Reason};
use serde_json::json;

use super::*;

impl World {
    async fn list_gates(&self, request: proto::ListGatesRequest) -> proto::ListGatesResponse {
        let answer = self.gates().list_gates(self.ask(request)).await;
        answer.expect("a list").into_inner()
    }

    /// The tasks whose gates a filter chooses.
    async fn waiting(&self, request: proto::ListGatesRequest) -> Vec<String> {
        let gates = self.list_gates(request).await.gates;
        gates.into_iter().map(|gate| gate.task_id).collect()
    }
}

#[tokio::test]
async fn open_gates_are_listed_by_kind_queue_and_type() {
    let world = World::start().await;
    let agent = world.agent(&["lint", "test"]);
    let mut ids = Vec::new();
    for (kind, queue, asks) in [
        ("lint", "default", GateKind::Input),
        ("test", "default", GateKind::Approval),
        ("lint", "default", GateKind::Approval),
    ] {
        let spec = proto::TaskSpec {
            queue: queue.to_owned(),
            ..spec(kind)
        };
        let (task, gate) = world.gated(agent, spec, gate_of(asks)).await;
        assert_eq!(
            (gate.queue.as_str(), gate.task_type.as_str()),
            (queue, kind)
        );
        ids.push(task.id);
    }
    let all = world.waiting(Default::default()).await;
    assert_eq!(all, ids, "oldest first");
    let approvals = proto::ListGatesRequest {
        kinds: vec![GateKind::Approval.into()],
        ..Default::default()
    };
    assert_eq!(world.waiting(approvals.clone()).await, ids[1..]);
    let lint = proto::ListGatesRequest {
        task_types: vec!["lint".to_owned()],
        queues: vec!["default".to_owned()],
        ..approvals.clone()
    };
    assert_eq!(world.waiting(lint).await, ids[2..]);
    let elsewhere = proto::ListGatesRequest {
        queues: vec!["night".to_owned()],
        ..Default::default()
    };
    assert!(world.waiting(elsewhere).await.is_empty());
    let stranger = world.authenticator.admin(TenantId::new());
    let answer = world
        .gates()
        .list_gates(authorize(&stranger, Default::default()))
        .await;
    assert!(answer.expect("a list").into_inner().gates.is_empty());
    // What is answered does not wait any more.
    let first = world.list_gates(Default::default()).await.gates.remove(0);
    world
        .answer(input(&first, json!({})))
        .await
        .expect("it is answered");
    assert_eq!(world.waiting(Default::default()).await, ids[1..]);
}

#[tokio::test]
async fn a_page_goes_on_where_the_one_before_ended() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let mut ids = Vec::new();
    for _ in 0..5 {
        let (task, _) = world
            .gated(agent, spec("lint"), gate_of(GateKind::Input))
            .await;
        ids.push(task.id);
    }
    let (mut seen, mut request) = (Vec::new(), proto::ListGatesRequest::default());
    request.page_size = 2;
    loop {
        let page = world.list_gates(request.clone()).await;
        assert!(page.gates.len() <= 2);
        seen.extend(page.gates.into_iter().map(|gate| gate.task_id));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ids);
    let first = proto::ListGatesRequest {
        page_size: 2,
        ..Default::default()
    };
    let token = world.list_gates(first).await.next_page_token;
    let other = proto::ListGatesRequest {
        kinds: vec![GateKind::Input.into()],
        page_token: token,
        ..Default::default()
    };
    let answer = world.gates().list_gates(world.ask(other)).await;
    refused(answer, Code::InvalidArgument, Reason::PageTokenInvalid);
    let wrong = proto::ListGatesRequest {
        kinds: vec![0, 5],
        queues: vec!["q".repeat(65)],
        task_types: vec!["t".repeat(129)],
        page_size: -1,
        ..Default::default()
    };
    let answer = world.gates().list_gates(world.ask(wrong)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let expected = [
        "kinds[0]",
        "kinds[1]",
        "page_size",
        "queues[0]",
        "task_types[0]",
    ];
    assert_eq!(fields(&fault), expected);
}
