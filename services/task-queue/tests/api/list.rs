//! Lists, their filters and pages.

use std::collections::HashMap;

use reeve_contracts::task::v1::{self as proto, TaskState};
use reeve_ids::ProjectId;
use reeve_status::{Code, Reason};
use serde_json::json;

use crate::harness::*;

async fn ids(world: &World, filter: proto::TaskFilter) -> Vec<String> {
    let request = proto::ListTasksRequest {
        filter: Some(filter),
        ..Default::default()
    };
    let answer = world
        .tasks()
        .list_tasks(world.ask(request))
        .await
        .expect("a list");
    answer
        .into_inner()
        .tasks
        .into_iter()
        .map(|task| task.id)
        .collect()
}

#[tokio::test]
async fn every_part_of_a_filter_holds() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let plain = world.create(spec("build")).await;
    let project_id = ProjectId::new().to_string();
    let origin = proto::TaskOrigin {
        kind: "workflow".to_owned(),
        resource_id: "e-1".to_owned(),
        step_path: "lint".to_owned(),
        attempt: 0,
    };
    let full = world
        .create_as_service(proto::TaskSpec {
            queue: "night".to_owned(),
            project_id: project_id.clone(),
            parent_task_id: plain.id.clone(),
            origin: Some(origin),
            labels: HashMap::from([("team".to_owned(), "red".to_owned())]),
            ..spec("lint")
        })
        .await;
    let request = proto::LeaseTasksRequest {
        queues: vec!["night".to_owned()],
        ..lease_of(agent, 1)
    };
    world.lease_as(request).await;
    let filter = proto::TaskFilter::default;
    let team = |team: &str| HashMap::from([("team".to_owned(), team.to_owned())]);
    let one = || "e-1".to_owned();
    let matching = [
        proto::TaskFilter {
            states: vec![TaskState::Assigned.into()],
            ..filter()
        },
        proto::TaskFilter {
            queues: vec!["night".to_owned()],
            ..filter()
        },
        proto::TaskFilter {
            types: vec!["lint".to_owned(), "x".to_owned()],
            ..filter()
        },
        proto::TaskFilter {
            project_id,
            ..filter()
        },
        proto::TaskFilter {
            parent_task_id: plain.id.clone(),
            ..filter()
        },
        proto::TaskFilter {
            origin_kind: "workflow".to_owned(),
            origin_resource_id: one(),
            ..filter()
        },
        proto::TaskFilter {
            assigned_agent_id: agent.to_string(),
            ..filter()
        },
        proto::TaskFilter {
            labels: team("red"),
            ..filter()
        },
        proto::TaskFilter {
            task_ids: vec![full.id.clone()],
            ..filter()
        },
        proto::TaskFilter {
            create_time_from: full.create_time,
            ..filter()
        },
    ];
    for filter in matching {
        assert_eq!(
            ids(&world, filter.clone()).await,
            [full.id.as_str()],
            "{filter:?}"
        );
    }
    let create_time_before = full.create_time;
    let others = proto::TaskFilter {
        create_time_before,
        ..filter()
    };
    assert_eq!(ids(&world, others).await, [plain.id.as_str()]);
    let nothing = proto::TaskFilter {
        labels: team("blue"),
        ..filter()
    };
    assert!(ids(&world, nothing).await.is_empty());
    assert!(
        ids(
            &world,
            proto::TaskFilter {
                dead: true,
                ..filter()
            }
        )
        .await
        .is_empty()
    );
    assert_eq!(ids(&world, filter()).await, [full.id, plain.id]);
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let world = World::start().await;
    let mut created = world.create_many(spec("lint"), 7).await;
    created.reverse();
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = proto::ListTasksRequest {
            page_size: 3,
            page_token,
            ..Default::default()
        };
        let page = world
            .tasks()
            .list_tasks(world.ask(request))
            .await
            .expect("a page")
            .into_inner();
        seen.extend(page.tasks.into_iter().map(|task| task.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        let filter = Some(proto::TaskFilter {
            dead: true,
            ..Default::default()
        });
        let other = proto::ListTasksRequest {
            filter,
            page_token: page_token.clone(),
            ..Default::default()
        };
        let answer = world.tasks().list_tasks(world.ask(other)).await;
        refused(answer, Code::InvalidArgument, Reason::PageTokenInvalid);
    }
    assert_eq!(seen, created);
}

#[tokio::test]
async fn bodies_come_only_with_the_full_view() {
    let world = World::start().await;
    let parameters = reeve_wellknown::struct_from_json(json!({ "path": "." }));
    world
        .create(proto::TaskSpec {
            parameters: parameters.clone(),
            ..spec("lint")
        })
        .await;
    for (view, expected) in [
        (proto::TaskView::Basic, None),
        (proto::TaskView::Full, parameters),
    ] {
        let request = proto::ListTasksRequest {
            view: view.into(),
            ..Default::default()
        };
        let mut page = world
            .tasks()
            .list_tasks(world.ask(request))
            .await
            .expect("a list")
            .into_inner();
        let spec = page.tasks.remove(0).spec.expect("a task has its spec");
        assert_eq!(spec.parameters, expected);
    }
}
