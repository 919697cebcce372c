//! The catalogue of task types: what is in it, how it is changed, and who sees it.

use prost_types::FieldMask;
use reeve_contracts::task::v1::task_type_service_client::TaskTypeServiceClient;
use reeve_contracts::task::v1::{self as proto, TaskType, TaskTypeCategory, TaskTypeSource};
use reeve_ids::{TaskTypeId, TenantId};
use reeve_status::{Code, Fault, Reason};
use reeve_testkit::authorize;
use serde_json::{Value as Json, json};
use tonic::Status;
use tonic::transport::Channel;

use crate::harness::*;

impl World {
    pub fn types(&self) -> TaskTypeServiceClient<Channel> {
        TaskTypeServiceClient::new(self.channel())
    }

    pub async fn create_type(&self, asked: TaskType) -> Result<TaskType, Status> {
        let request = proto::CreateTaskTypeRequest {
            task_type: Some(asked),
            ..Default::default()
        };
        let answer = self.types().create_task_type(self.ask(request)).await?;
        Ok(answer.into_inner().task_type.expect("the answer holds it"))
    }

    pub async fn update_type(
        &self,
        asked: TaskType,
        paths: &[&str],
        etag: &str,
    ) -> Result<TaskType, Status> {
        let request = proto::UpdateTaskTypeRequest {
            task_type: Some(asked),
            update_mask: Some(FieldMask {
                paths: paths.iter().map(|&path| path.to_owned()).collect(),
            }),
            etag: etag.to_owned(),
        };
        let answer = self.types().update_task_type(self.ask(request)).await?;
        Ok(answer.into_inner().task_type.expect("the answer holds it"))
    }

    pub async fn delete_type(&self, name: &str, etag: &str) -> Result<(), Status> {
        let request = proto::DeleteTaskTypeRequest {
            name: name.to_owned(),
            etag: etag.to_owned(),
        };
        let answer = self.types().delete_task_type(self.ask(request)).await;
        answer.map(drop)
    }

    pub async fn get_type(&self, name: &str) -> Result<TaskType, Status> {
        let request = proto::GetTaskTypeRequest {
            name: name.to_owned(),
        };
        let answer = self.types().get_task_type(self.ask(request)).await?;
        Ok(answer.into_inner().task_type.expect("the answer holds it"))
    }

    /// The names of every page.
    async fn list_types(&self, request: proto::ListTaskTypesRequest) -> Vec<String> {
        let (mut names, mut request) = (Vec::new(), request);
        loop {
            let page = self
                .types()
                .list_task_types(self.ask(request.clone()))
                .await;
            let page = page.expect("a page").into_inner();
            names.extend(page.task_types.into_iter().map(|kind| kind.name));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return names;
            }
        }
    }
}

/// A type with a schema and nothing else.
pub fn type_of(name: &str, schema: Json) -> TaskType {
    TaskType {
        name: name.to_owned(),
        category: TaskTypeCategory::Devops.into(),
        parameters_schema: reeve_wellknown::struct_from_json(schema),
        ..Default::default()
    }
}

fn schema_of(kind: &TaskType) -> Json {
    let schema = kind.parameters_schema.clone();
    schema.map_or(Json::Null, reeve_wellknown::json_from_struct)
}

pub fn invalid<T: std::fmt::Debug>(answer: Result<T, Status>) -> Fault {
    refused(answer, Code::InvalidArgument, Reason::ValidationFailed)
}

#[tokio::test]
async fn a_type_is_created_changed_and_deleted() {
    let world = World::start().await;
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}});
    let created = world
        .create_type(type_of("Ship-It", schema.clone()))
        .await
        .expect("created");
    assert!(created.id.parse::<TaskTypeId>().is_ok(), "{}", created.id);
    assert_eq!(created.source(), TaskTypeSource::Tenant);
    assert_eq!(created.category(), TaskTypeCategory::Devops);
    assert_eq!(created.capability, "ship-it");
    assert_eq!(schema_of(&created), schema);
    assert_eq!(created.create_time, created.update_time);
    assert_eq!(
        world.get_type("Ship-It").await.expect("it is there"),
        created
    );

    let asked = TaskType {
        name: "Ship-It".to_owned(),
        category: TaskTypeCategory::Other.into(),
        description: "Ships it.".to_owned(),
        capability: "shipping".to_owned(),
        start_to_close_timeout: Some(seconds(90)),
        ..Default::default()
    };
    let paths = [
        "description",
        "capability",
        "start_to_close_timeout",
        "parameters_schema",
    ];
    let updated = world
        .update_type(asked, &paths, &created.etag)
        .await
        .expect("updated");
    assert_ne!(updated.etag, created.etag);
    let expected = TaskType {
        description: "Ships it.".to_owned(),
        capability: "shipping".to_owned(),
        start_to_close_timeout: Some(seconds(90)),
        parameters_schema: None,
        etag: updated.etag.clone(),
        update_time: updated.update_time,
        ..created.clone()
    };
    assert_eq!(updated, expected);
    assert_eq!(
        world.get_type("Ship-It").await.expect("it is there"),
        updated
    );

    let stale = world.delete_type("Ship-It", &created.etag).await;
    let fault = refused(stale, Code::Aborted, Reason::EtagMismatch);
    assert_eq!(fault.metadata()["current_etag"], updated.etag);
    world
        .delete_type("Ship-It", &updated.etag)
        .await
        .expect("deleted");
    let absent = world.delete_type("Ship-It", "").await;
    refused(absent, Code::NotFound, Reason::ResourceNotFound);
    let absent = world.get_type("Ship-It").await;
    refused(absent, Code::NotFound, Reason::ResourceNotFound);
    let absent = world
        .update_type(type_of("Ship-It", json!({})), &["category"], "")
        .await;
    refused(absent, Code::NotFound, Reason::ResourceNotFound);

    // Another type of that name is another, though its versions begin anew.
    world
        .create_type(type_of("Ship-It", json!({})))
        .await
        .expect("created");
    let stale = world.delete_type("Ship-It", &created.etag).await;
    refused(stale, Code::Aborted, Reason::EtagMismatch);
}

#[tokio::test]
async fn every_change_is_an_event() {
    let world = World::start().await;
    let created = world
        .create_type(type_of("ship", json!({})))
        .await
        .expect("created");
    let description = "x".to_owned();
    let asked = TaskType {
        description,
        ..type_of("ship", json!({}))
    };
    let paths = ["description", "category"];
    let updated = world.update_type(asked, &paths, "").await.expect("updated");
    world.delete_type("ship", "").await.expect("deleted");
    let all = |events: &[reeve_contracts::event::v1::Event]| {
        let of_types = events
            .iter()
            .filter(|event| event.resource_type == "task_type");
        of_types.count() == 3
    };
    let events = world.events(all).await;
    let mut events: Vec<_> = events
        .iter()
        .filter(|event| event.resource_type == "task_type")
        .inspect(|event| assert_eq!(event.resource_id, created.id))
        .map(|event| (event.r#type.as_str(), data(event)))
        .collect();
    events.sort_by_key(|(kind, _)| *kind);
    let facts = |etag: &str| {
        json!({
            "name": "ship", "category": "DEVOPS", "capability": "ship", "etag": etag,
        })
    };
    let mut changed = facts(&updated.etag);
    changed["changed"] = json!(["description"]);
    assert_eq!(
        events,
        [
            ("task_type.created", facts(&created.etag)),
            ("task_type.deleted", facts(&updated.etag)),
            ("task_type.updated", changed),
        ]
    );
}

#[tokio::test]
async fn built_in_types_are_everybodys_and_nobody_changes_them() {
    let world = World::start().await;
    let deploy = world
        .get_type("deploy_application")
        .await
        .expect("it is built in");
    assert_eq!(deploy.source(), TaskTypeSource::BuiltIn);
    assert_eq!(deploy.category(), TaskTypeCategory::Devops);
    assert_eq!(deploy.capability, "deployment");
    assert_eq!(deploy.start_to_close_timeout, Some(seconds(3_600)));
    assert_eq!((deploy.id.as_str(), deploy.etag.as_str()), ("", ""));
    assert!(schema_of(&deploy)["properties"]["environment"].is_object());
    let taken = world
        .create_type(type_of("Deploy_Application", json!({})))
        .await;
    assert_eq!(fields(&invalid(taken)), ["task_type.name"]);
    let asked = type_of("deploy_application", json!({}));
    let answer = world.update_type(asked, &["description"], "").await;
    assert_eq!(fields(&invalid(answer)), ["task_type.name"]);
    let answer = world.delete_type("deploy_application", "").await;
    assert_eq!(fields(&invalid(answer)), ["name"]);
}

#[tokio::test]
async fn lists_have_both_kinds_in_one_order() {
    let world = World::start().await;
    let own = ["Zebra", "a_first", "deploy_b", "zz"];
    for name in own {
        world
            .create_type(type_of(name, json!({})))
            .await
            .expect("created");
    }
    let all = world.list_types(Default::default()).await;
    assert_eq!(all.len(), 44);
    assert!(all.is_sorted());
    let in_pages = proto::ListTaskTypesRequest {
        page_size: 7,
        ..Default::default()
    };
    assert_eq!(world.list_types(in_pages.clone()).await, all);
    let filter = |category: TaskTypeCategory, source: TaskTypeSource| proto::ListTaskTypesRequest {
        category: category.into(),
        source: source.into(),
        page_size: 3,
        ..Default::default()
    };
    let (any, every) = (TaskTypeCategory::Unspecified, TaskTypeSource::Unspecified);
    assert_eq!(
        world.list_types(filter(any, TaskTypeSource::Tenant)).await,
        own
    );
    let built_in = world.list_types(filter(any, TaskTypeSource::BuiltIn)).await;
    assert_eq!(built_in.len(), 40);
    let devops = world
        .list_types(filter(TaskTypeCategory::Devops, every))
        .await;
    assert_eq!(devops.len(), 6 + own.len());
    assert!(devops.is_sorted());
    let finance = world
        .list_types(filter(TaskTypeCategory::Finance, TaskTypeSource::Tenant))
        .await;
    assert!(finance.is_empty());

    let first = world
        .types()
        .list_task_types(world.ask(in_pages.clone()))
        .await;
    let page_token = first.expect("a page").into_inner().next_page_token;
    let other = proto::ListTaskTypesRequest {
        page_token,
        ..filter(any, TaskTypeSource::Tenant)
    };
    let answer = world.types().list_task_types(world.ask(other)).await;
    refused(answer, Code::InvalidArgument, Reason::PageTokenInvalid);
    let wrong = proto::ListTaskTypesRequest {
        category: 99,
        source: 99,
        page_size: -1,
        ..Default::default()
    };
    let answer = world.types().list_task_types(world.ask(wrong)).await;
    assert_eq!(
        fields(&invalid(answer)),
        ["category", "page_size", "source"]
    );
}

#[tokio::test]
async fn a_repeated_create_answers_as_the_first() {
    let world = World::start().await;
    let ask = |name: &str, request_id: &str| {
        let request = proto::CreateTaskTypeRequest {
            task_type: Some(type_of(name, json!({"type": "object"}))),
            request_id: request_id.to_owned(),
        };
        let (mut types, request) = (world.types(), world.ask(request));
        async move {
            let answer = types.create_task_type(request).await?;
            Ok(answer.into_inner().task_type.expect("the answer holds it"))
        }
    };
    let first = ask("ship", "r").await.expect("created");
    assert_eq!(ask("ship", "r").await.expect("it is there"), first);
    let taken: Result<TaskType, Status> = ask("ship", "other").await;
    refused(taken, Code::AlreadyExists, Reason::ResourceExists);
    refused(
        ask("sail", "r").await,
        Code::FailedPrecondition,
        Reason::RequestIdReused,
    );
    // A repeat answers with the type as it is by then.
    let asked = TaskType {
        description: "x".to_owned(),
        ..type_of("ship", json!({}))
    };
    let updated = world
        .update_type(asked, &["description"], "")
        .await
        .expect("updated");
    assert_eq!(ask("ship", "r").await.expect("it is there"), updated);
    // Whoever repeats at the same time meets one type.
    let all = futures::future::join_all((0..8).map(|_| ask("sail", "s"))).await;
    let ids: std::collections::HashSet<_> = all
        .into_iter()
        .map(|one| one.expect("the same").id)
        .collect();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn another_tenants_types_do_not_exist() {
    let world = World::start().await;
    let key = world.authenticator.admin(TenantId::new());
    world
        .create_type(type_of("ship", json!({"required": ["a"]})))
        .await
        .expect("created");
    let mut types = world.types();
    let get = proto::GetTaskTypeRequest {
        name: "ship".to_owned(),
    };
    let answer = types.get_task_type(authorize(&key, get)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    let delete = proto::DeleteTaskTypeRequest {
        name: "ship".to_owned(),
        ..Default::default()
    };
    let answer = types.delete_task_type(authorize(&key, delete)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    let update = proto::UpdateTaskTypeRequest {
        task_type: Some(type_of("ship", json!({}))),
        update_mask: Some(FieldMask {
            paths: vec!["category".to_owned()],
        }),
        ..Default::default()
    };
    let answer = types.update_task_type(authorize(&key, update)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    let list = proto::ListTaskTypesRequest {
        source: TaskTypeSource::Tenant.into(),
        ..Default::default()
    };
    let answer = types.list_task_types(authorize(&key, list)).await;
    assert!(answer.expect("a list").into_inner().task_types.is_empty());
    // Its tasks are free, and it may have a type of that name.
    let task = proto::CreateTaskRequest {
        spec: Some(spec("ship")),
        ..Default::default()
    };
    let mut tasks = world.tasks();
    tasks
        .create_task(authorize(&key, task))
        .await
        .expect("nothing is asked of it");
    let create = proto::CreateTaskTypeRequest {
        task_type: Some(type_of("ship", json!({}))),
        ..Default::default()
    };
    types
        .create_task_type(authorize(&key, create))
        .await
        .expect("created");
}

#[tokio::test]
async fn each_verb_needs_its_permission() {
    let world = World::start().await;
    let reader = world.authenticator.key(world.tenant, &["task_types.read"]);
    let mut types = world.types();
    let list = authorize(&reader, proto::ListTaskTypesRequest::default());
    types.list_task_types(list).await.expect("it may read");
    let answer = types
        .create_task_type(authorize(&reader, Default::default()))
        .await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    let answer = types
        .update_task_type(authorize(&reader, Default::default()))
        .await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    let answer = types
        .delete_task_type(authorize(&reader, Default::default()))
        .await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    let writer = world.authenticator.key(world.tenant, &["tasks.*"]);
    let list = authorize(&writer, proto::ListTaskTypesRequest::default());
    refused(
        types.list_task_types(list).await,
        Code::PermissionDenied,
        Reason::PermissionMissing,
    );
}
