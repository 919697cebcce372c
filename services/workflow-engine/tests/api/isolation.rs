//! Tenants do not see each other, and the database holds what the code promises.

use reeve_contracts::workflow::v1 as wire;
use reeve_status::{Code, Reason};
use reeve_testkit::authorize;
use serde_json::json;
use tonic::Request;

use crate::harness::{World, refused, task, workflow};

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
async fn a_connection_that_names_no_tenant_sees_nothing() {
    let world = World::start().await;
    world
        .run(workflow("rls", vec![task("a", &[])]), json!({}))
        .await;
    let database = world.database.connect(&reeve_workflow_engine::schema());
    for table in [
        "workflow",
        "workflow_version",
        "execution",
        "step_run",
        "history",
        "command",
    ] {
        let query = format!("select count(*) from {table}");
        let count = |query: String| sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(query));
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
