//! LimitService, and what may not be asked.

use reeve_contracts::task::v1::{self as proto, LimitPer, SetLimitRequest};
use reeve_ids::TenantId;
use reeve_status::{Code, Reason};
use reeve_testkit::authorize;

use crate::harness::*;

use super::*;

#[tokio::test]
async fn a_limit_is_set_shown_changed_and_deleted() {
    let world = World::start().await;
    let set = world.limit(rated("b", 5, 60)).await;
    let rate = set.rate.expect("it has one");
    assert_eq!((rate.tasks, rate.burst_tasks), (5, 5));
    // Setting what is set changes nothing.
    assert_eq!(world.limit(rated("b", 5, 60)).await, set);
    let changed = world
        .limit(SetLimitRequest {
            reason: "quiet hours".to_owned(),
            etag: set.etag.clone(),
            ..at_most("b", 9, LimitPer::Type)
        })
        .await;
    assert_eq!((changed.max_running, changed.per()), (9, LimitPer::Type));
    assert_eq!(changed.rate, None);
    assert_eq!(changed.create_time, set.create_time);
    let stale = SetLimitRequest {
        etag: set.etag.clone(),
        ..rated("b", 1, 60)
    };
    refused(
        world.try_limit(stale).await,
        Code::Aborted,
        Reason::EtagMismatch,
    );
    refused(
        world.unlimit("b", &set.etag).await,
        Code::Aborted,
        Reason::EtagMismatch,
    );
    let missing = SetLimitRequest {
        etag: set.etag,
        ..rated("c", 1, 60)
    };
    refused(
        world.try_limit(missing).await,
        Code::Aborted,
        Reason::EtagMismatch,
    );
    world.limit(rated("a", 1, 60)).await;
    let list = |page_size, page_token| {
        let request = world.ask(proto::ListLimitsRequest {
            page_size,
            page_token,
        });
        let mut limits = world.limits();
        async move {
            limits
                .list_limits(request)
                .await
                .map(tonic::Response::into_inner)
        }
    };
    let page = list(1, String::new()).await.expect("a page");
    assert_eq!(page.limits[0].name, "a");
    let page = list(1, page.next_page_token).await.expect("a page");
    assert_eq!(
        (page.limits[0].name.as_str(), page.next_page_token.as_str()),
        ("b", "")
    );
    assert_eq!(world.get_limit("b").await, changed);
    assert_eq!(
        world
            .unlimit("b", &changed.etag)
            .await
            .expect("it is there"),
        changed
    );
    refused(
        world.unlimit("b", "").await,
        Code::NotFound,
        Reason::ResourceNotFound,
    );
    let events = world
        .events(|events| events.iter().any(|event| event.r#type == "limit.deleted"))
        .await;
    let ours: Vec<_> = events
        .iter()
        .filter(|event| event.resource_id == "b")
        .collect();
    let kinds: Vec<_> = ours.iter().map(|event| event.r#type.as_str()).collect();
    assert_eq!(kinds, ["limit.set", "limit.set", "limit.deleted"]);
    let told = data(ours[0]);
    assert_eq!(told["rate"]["tasks"], 5.0);
    assert_eq!(
        (told["per"].as_str(), told["selector"]["queues"].is_array()),
        (Some("TENANT"), true)
    );
    // Another tenant sees none of it.
    let stranger = world.authenticator.admin(TenantId::new());
    let request = authorize(
        &stranger,
        proto::GetLimitRequest {
            name: "a".to_owned(),
        },
    );
    refused(
        world.limits().get_limit(request).await,
        Code::NotFound,
        Reason::ResourceNotFound,
    );
    let request = authorize(&stranger, proto::ListLimitsRequest::default());
    let theirs = world.limits().list_limits(request).await.expect("a list");
    assert_eq!(theirs.into_inner().limits, []);
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let world = World::start().await;
    let wrong = SetLimitRequest {
        name: "a/b".to_owned(),
        selector: None,
        per: 0,
        key_prefix: "what?".to_owned(),
        max_running: 100_001,
        rate: Some(proto::Rate {
            tasks: 0,
            period_duration: None,
            burst_tasks: -1,
        }),
        reason: "x".repeat(513),
        etag: "old".to_owned(),
    };
    let fault = refused(
        world.try_limit(wrong).await,
        Code::InvalidArgument,
        Reason::ValidationFailed,
    );
    let expected = [
        "etag",
        "key_prefix",
        "max_running",
        "name",
        "per",
        "rate.burst_tasks",
        "rate.period_duration",
        "rate.tasks",
        "reason",
        "selector",
    ];
    assert_eq!(fields(&fault), expected);
    let nothing = at_most("a", 0, LimitPer::Tenant);
    let prefixed = SetLimitRequest {
        key_prefix: "x".to_owned(),
        ..at_most("a", 1, LimitPer::Queue)
    };
    let too_long = rated("a", 1, 86_401);
    for (request, field) in [
        (nothing, "max_running"),
        (prefixed, "key_prefix"),
        (too_long, "rate.period_duration"),
    ] {
        let answer = world.try_limit(request).await;
        let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
        assert_eq!(fields(&fault), [field]);
    }
    let edge = SetLimitRequest {
        rate: Some(proto::Rate {
            tasks: 1_000_000,
            period_duration: Some(seconds(86_400)),
            burst_tasks: 1_000_000,
        }),
        ..at_most("edge", 100_000, LimitPer::Tenant)
    };
    world.limit(edge).await;
    for number in 1..100 {
        world.limit(rated(&format!("l{number}"), 1, 1)).await;
    }
    let fault = refused(
        world.try_limit(rated("more", 1, 1)).await,
        Code::ResourceExhausted,
        Reason::LimitReached,
    );
    assert!(fault.to_string().contains("100"), "{fault}");
    // One that is there may change.
    world.limit(rated("l1", 2, 1)).await;
}

#[tokio::test]
async fn a_task_has_at_most_eight_keys() {
    let world = World::start().await;
    let keys: Vec<_> = (0..9).map(|number| format!("key{number}")).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let create = |keys: &[&str]| {
        let request = proto::CreateTaskRequest {
            spec: Some(on(keys)),
            ..Default::default()
        };
        let mut tasks = world.tasks();
        let request = world.ask(request);
        async move { tasks.create_task(request).await }
    };
    let fault = refused(
        create(&keys).await,
        Code::InvalidArgument,
        Reason::ValidationFailed,
    );
    assert_eq!(fields(&fault), ["spec.concurrency_keys"]);
    let made = create(&keys[1..])
        .await
        .expect("it is created")
        .into_inner();
    let spec = made.task.and_then(|task| task.spec).expect("it has one");
    assert_eq!(spec.concurrency_keys, keys[1..]);
}

#[tokio::test]
async fn limits_have_permissions_of_their_own() {
    let world = World::start().await;
    let reader = world
        .authenticator
        .key(world.tenant, &["tasks.*", "queues.*", "limits.read"]);
    let request = authorize(&reader, rated("a", 1, 1));
    let answer = world.limits().set_limit(request).await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    let request = proto::DeleteLimitRequest::default();
    let answer = world
        .limits()
        .delete_limit(authorize(&reader, request))
        .await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    let request = authorize(&reader, proto::ListLimitsRequest::default());
    world
        .limits()
        .list_limits(request)
        .await
        .expect("it may read");
}
