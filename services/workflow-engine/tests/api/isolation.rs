//! Tenants do not see each other, and the database holds what the code promises.

use reeve_contracts::workflow::v1 as wire;
use reeve_status::{Code, Reason};
use reeve_testkit::authorize;
use serde_json::json;
use tonic::Request;

use crate::harness::{World, broken_at, refused, task, workflow};

#[tokio::test]
async fn another_tenants_things_do_not_exist() {
    let world = World::start().await;
    let published = world.publish(workflow("mine", vec![task("a", &[])])).await;
    let id = world
        .run(workflow("mine", vec![task("a", &[])]), json!({}))
        .await;
    let stranger = world.stranger.clone();
    let (mut client, mut approvals) = (world.workflows(), world.approvals());
    fn by<T>(key: &str, message: T) -> Request<T> {
        authorize(key, message)
    }
    let execution_id = id.clone();
    let get = wire::GetExecutionRequest {
        execution_id,
        ..Default::default()
    };
    let faults = [
        refused(client.get_execution(by(&stranger, get)).await),
        refused(
            client
                .get_workflow(by(
                    &stranger,
                    wire::GetWorkflowRequest {
                        workflow_id: published.id.clone(),
                        ..Default::default()
                    },
                ))
                .await,
        ),
        refused(
            client
                .start_execution(by(
                    &stranger,
                    wire::StartExecutionRequest {
                        workflow_id: published.id,
                        ..Default::default()
                    },
                ))
                .await,
        ),
        refused(
            client
                .cancel_execution(by(
                    &stranger,
                    wire::CancelExecutionRequest {
                        execution_id: id.clone(),
                        ..Default::default()
                    },
                ))
                .await,
        ),
        refused(
            client
                .get_history(by(
                    &stranger,
                    wire::GetHistoryRequest {
                        execution_id: id.clone(),
                        ..Default::default()
                    },
                ))
                .await,
        ),
        refused(
            client
                .diagnose_execution(by(
                    &stranger,
                    wire::DiagnoseExecutionRequest { execution_id: id },
                ))
                .await,
        ),
        refused(
            approvals
                .get_approval(by(
                    &stranger,
                    wire::GetApprovalRequest {
                        approval_id: reeve_ids::ApprovalId::new().to_string(),
                    },
                ))
                .await,
        ),
    ];
    for fault in faults {
        assert_eq!(
            (fault.code(), fault.reason()),
            (Code::NotFound, Reason::ResourceNotFound)
        );
    }
    let list = by(&stranger, wire::ListExecutionsRequest::default());
    let page = client
        .list_executions(list)
        .await
        .expect("a page")
        .into_inner();
    assert!(page.executions.is_empty());
    // The same name is free in another tenant.
    let other = wire::CreateWorkflowRequest {
        workflow: Some(workflow("mine", vec![task("z", &[])])),
        ..Default::default()
    };
    let answer = client
        .create_workflow(by(&stranger, other))
        .await
        .expect("published");
    assert_eq!(answer.into_inner().workflow.expect("one").version, 1);
    world.finish().await;
}

#[tokio::test]
async fn the_database_refuses_what_the_lifecycle_forbids() {
    let world = World::start().await;
    let id = world
        .run(workflow("db", vec![task("a", &[])]), json!({}))
        .await;
    world.complete(&id, "a", json!({})).await;
    let mut admin = world.database.admin().await;
    for cheat in [
        "update workflow_engine.execution set state = 'RUNNING', end_time = null",
        "update workflow_engine.step_run set state = 'FAILED'",
        "update workflow_engine.step_run set attempt = 0",
        "update workflow_engine.execution set state = 'UNHEARD_OF'",
    ] {
        assert!(
            sqlx::query(cheat).execute(&mut admin).await.is_err(),
            "it took {cheat}"
        );
    }
    // The service's own role cannot rewrite what happened, or what was published.
    let database = world.database.connect(&reeve_workflow_engine::schema());
    for cheat in [
        "update history set data = '{}'",
        "delete from history",
        "update workflow_version set definition = '{}'",
        "delete from workflow_version",
    ] {
        let tried = sqlx::query(cheat).execute(database.internal_pool()).await;
        assert!(tried.is_err(), "it took {cheat}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_connection_sees_its_tenants_rows_only() {
    let world = World::start().await;
    world
        .run(workflow("rls", vec![task("a", &[])]), json!({}))
        .await;
    let database = world.database.connect(&reeve_workflow_engine::schema());
    let approve = wire::WorkflowStep {
        id: "approve".into(),
        r#type: wire::StepType::Approval.into(),
        config: crate::harness::fields(json!({"subject": "${{ input }}"})),
        ..Default::default()
    };
    let published = wire::CreateWorkflowRequest {
        request_id: "r".into(),
        workflow: Some(workflow("asks", vec![approve.clone()])),
    };
    let mut client = world.workflows();
    let answer = client.create_workflow(world.ask(published)).await;
    answer.expect("published");
    world.run(workflow("asks", vec![approve]), json!({})).await;
    let mut admin = world.database.admin().await;
    for made in [
        "insert into workflow_engine.dispatch (execution_id, step_id, attempt, tenant_id, task_id)
         select execution_id, step_id, attempt, tenant_id, execution_id
         from workflow_engine.command",
        "insert into workflow_engine.dead_news
             (tenant_id, execution_id, step_id, attempt, sequence, cause)
         select tenant_id, id, '', 0, 0, '' from workflow_engine.execution",
    ] {
        let rows = sqlx::query(made).execute(&mut admin).await.expect("rows");
        assert!(rows.rows_affected() > 0);
    }
    for table in [
        "workflow",
        "workflow_version",
        "workflow_request",
        "execution",
        "step_run",
        "dispatch",
        "history",
        "timer",
        "command",
        "dead_news",
        "approval",
    ] {
        let query = format!("select count(*) from {table}");
        let count = |query: String| sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(query));
        // A connection of the requests' pool that never named a tenant, and another tenant's.
        let mut tx = database.tenant(world.tenant).await.expect("a transaction");
        let nobody = "set local reeve.tenant = ''";
        sqlx::query(nobody).execute(&mut *tx).await.expect("reset");
        let seen = count(query.clone()).fetch_one(&mut *tx).await;
        assert!(seen.is_err() || seen.is_ok_and(|seen| seen == 0), "{table}");
        drop(tx);
        let mut tx = database
            .tenant(reeve_ids::TenantId::new())
            .await
            .expect("a transaction");
        let seen = count(query.clone())
            .fetch_one(&mut *tx)
            .await
            .expect("a count");
        assert_eq!(seen, 0, "{table} shows another tenant's rows");
        let mut tx = database.tenant(world.tenant).await.expect("a transaction");
        let seen = count(query).fetch_one(&mut *tx).await.expect("a count");
        assert!(seen > 0, "{table} hides its own tenant's rows");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_history_that_was_altered_shows_it() {
    let world = World::start().await;
    let id = world
        .run(workflow("chain", vec![task("a", &[])]), json!({}))
        .await;
    world.complete(&id, "a", json!({})).await;
    let mut admin = world.database.admin().await;
    let whole = world.history(&id).await;
    assert_eq!(broken_at(&whole), None);
    for (cheat, place) in [
        (
            "update workflow_engine.history set actor_name = 'x' where sequence = 2",
            2,
        ),
        ("delete from workflow_engine.history where sequence = 1", 2),
    ] {
        sqlx::query(cheat)
            .execute(&mut admin)
            .await
            .expect("the owner may");
        assert_eq!(broken_at(&world.history(&id).await), Some(place), "{cheat}");
    }
}
