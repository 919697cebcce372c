//! Task types that are refused, and limits at their edges.

use reeve_contracts::task::v1::{self as proto, TaskType};
use reeve_status::{Code, Reason};
use serde_json::json;

use crate::harness::*;
use crate::types::{invalid, type_of};

#[tokio::test]
async fn a_create_and_an_update_name_every_wrong_field() {
    let world = World::start().await;
    let wrong = TaskType {
        category: 9,
        description: "x".repeat(2_049),
        capability: "What?".to_owned(),
        start_to_close_timeout: Some(seconds(30 * 86_400 + 1)),
        ..type_of(
            "-ship",
            json!({
                "properties": {"a b": {"type": "strnig"}}, "allOf": [{"pattern": 7}],
            }),
        )
    };
    let request = proto::CreateTaskTypeRequest {
        task_type: Some(wrong.clone()),
        request_id: "x".repeat(129),
    };
    let of_type = [
        "task_type.capability",
        "task_type.category",
        "task_type.description",
        "task_type.name",
        "task_type.parameters_schema.allOf[0].pattern",
        "task_type.parameters_schema.properties[\"a b\"].type",
        "task_type.start_to_close_timeout",
    ];
    let answer = world.types().create_task_type(world.ask(request)).await;
    assert_eq!(
        fields(&invalid(answer)),
        [&["request_id"][..], &of_type].concat()
    );
    let answer = world
        .types()
        .create_task_type(world.ask(Default::default()))
        .await;
    assert_eq!(fields(&invalid(answer)), ["task_type"]);

    let paths = [
        "category",
        "description",
        "capability",
        "start_to_close_timeout",
        "parameters_schema",
        "name",
        "etag",
    ];
    let answer = world.update_type(wrong, &paths, &"x".repeat(65)).await;
    let expected = [&["etag"][..], &of_type, &["update_mask", "update_mask"]].concat();
    assert_eq!(fields(&invalid(answer)), expected);
    let answer = world.update_type(TaskType::default(), &[], "").await;
    assert_eq!(fields(&invalid(answer)), ["task_type.name", "update_mask"]);
    let answer = world.get_type("what is this").await;
    assert_eq!(fields(&invalid(answer)), ["name"]);
    let answer = world.delete_type("", &"x".repeat(65)).await;
    assert_eq!(fields(&invalid(answer)), ["etag", "name"]);
}

#[tokio::test]
async fn limits_of_schemas_hold_at_their_edges() {
    let world = World::start().await;
    let of_size = |bytes: usize| json!({ "title": "x".repeat(bytes - 12) });
    assert_eq!(of_size(100).to_string().len(), 100);
    let most = 32 * 1_024;
    world
        .create_type(type_of("large", of_size(most)))
        .await
        .expect("it is as large as it may be");
    let answer = world
        .create_type(type_of("larger", of_size(most + 1)))
        .await;
    assert_eq!(fields(&invalid(answer)), ["task_type.parameters_schema"]);

    let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({"items": inner}));
    world
        .create_type(type_of("deep", nested(24)))
        .await
        .expect("it is as deep as it may be");
    let answer = world.create_type(type_of("deeper", nested(25))).await;
    assert_eq!(fields(&invalid(answer)), ["task_type.parameters_schema"]);

    for (schema, place) in [
        (json!({"$ref": "https://example.com/x.json"}), ".$ref"),
        (
            json!({"properties": {"a": {"$ref": "#"}}}),
            ".properties.a.$ref",
        ),
        (
            json!({"items": {"$id": "https://example.com/"}}),
            ".items.$id",
        ),
        (
            json!({"properties": {"a": {"pattern": "(?=x)"}}}),
            ".properties.a.pattern",
        ),
        (
            json!({"propertyNames": {"pattern": "(\\w{900}){9}"}}),
            ".propertyNames.pattern",
        ),
        (
            json!({"items": {"pattern": "[012]*1[012]{400}[34]"}}),
            ".items.pattern",
        ),
    ] {
        let fault = invalid(world.create_type(type_of("hostile", schema)).await);
        assert_eq!(
            fields(&fault),
            [format!("task_type.parameters_schema{place}")]
        );
    }
    let absent = world.get_type("hostile").await;
    refused(absent, Code::NotFound, Reason::ResourceNotFound);
}

#[tokio::test]
async fn a_tenant_has_so_many_types_and_no_more() {
    let world = World::start().await;
    let large = json!({ "title": "x".repeat(32_000) });
    for n in 0..32 {
        world
            .create_type(type_of(&format!("large{n}"), large.clone()))
            .await
            .expect("room");
    }
    let answer = world.create_type(type_of("large32", large.clone())).await;
    refused(answer, Code::ResourceExhausted, Reason::LimitReached);
    let small = world
        .create_type(type_of("small", json!({})))
        .await
        .expect("room");
    let grown = world
        .update_type(type_of("small", large.clone()), &["parameters_schema"], "")
        .await;
    refused(grown, Code::ResourceExhausted, Reason::LimitReached);
    assert_eq!(world.get_type("small").await.expect("it is there"), small);
    // A type's own schema makes room for its next.
    let same = world
        .update_type(type_of("large0", large), &["parameters_schema"], "")
        .await;
    same.expect("room");
    for n in 33..200 {
        world
            .create_type(type_of(&format!("t{n}"), json!({})))
            .await
            .expect("room");
    }
    let answer = world.create_type(type_of("one_more", json!({}))).await;
    let fault = refused(answer, Code::ResourceExhausted, Reason::LimitReached);
    assert_eq!(fault.metadata()["limit"], "200");
    world.delete_type("t33", "").await.expect("deleted");
    world
        .create_type(type_of("one_more", json!({})))
        .await
        .expect("room");
}
