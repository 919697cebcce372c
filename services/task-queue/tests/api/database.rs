//! What the database refuses by itself.

use reeve_contracts::task::v1::{
    CreateTaskRequest, GateKind, GetTaskRequest, ListTasksRequest, ReportProgressRequest,
};
use reeve_ids::TenantId;
use reeve_status::{Code, Reason};
use reeve_task_queue::TaskQueue;
use sqlx::{Connection as _, PgConnection};

use crate::delegations::to_agent;
use crate::gates::gate_of;
use crate::harness::*;
use crate::types::type_of;

/// A connection as the service's role, that sees what `scope` says.
async fn connect(world: &World, scope: &str) -> PgConnection {
    let url = world.database.url(&TaskQueue::schema());
    let mut connection = PgConnection::connect(&url)
        .await
        .expect("the role may connect");
    let scope = format!("set search_path = task_queue; {scope}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(scope))
        .execute(&mut connection)
        .await
        .expect("a scope");
    connection
}

async fn refuses(connection: &mut PgConnection, sql: &'static str) {
    let answer = sqlx::query(sql).execute(&mut *connection).await;
    let error = answer
        .err()
        .unwrap_or_else(|| panic!("{sql} should be refused"));
    let code = error
        .as_database_error()
        .and_then(|error| error.code().map(|c| c.into_owned()));
    assert!(
        matches!(code.as_deref(), Some("P0001" | "23505" | "23514" | "42501")),
        "{sql}: {error}"
    );
}

#[tokio::test]
async fn no_statement_can_write_an_illegal_transition() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    world.create(spec("lint")).await;
    let mut database = connect(&world, "set reeve.all_tenants = 'on'").await;
    refuses(
        &mut database,
        "update task_run set state = 3, lease_until = now()",
    )
    .await;
    refuses(&mut database, "update task_run set state = 4").await;
    refuses(&mut database, "update task_run set state = 2").await;
    refuses(&mut database, "update task set title = 'another'").await;
    world.lease_one(agent).await;
    refuses(&mut database, "update task_run set fence = fence - 1").await;
    let lease = sqlx::query("update task_run set state = 5")
        .execute(&mut database)
        .await;
    lease.expect("ASSIGNED -> IN_PROGRESS is legal");
    refuses(&mut database, "update task_run set state = 2").await;
    refuses(&mut database, "update task_run set state = 3").await;
    refuses(
        &mut database,
        "update task_run set state = 2, offered = true, delegation_id = gen_random_uuid()",
    )
    .await;
    let offer = sqlx::query(
        "update task_run set state = 2, offered = true, delegation_id = gen_random_uuid(),
             fence = fence + 1",
    );
    let offer = offer.execute(&mut database).await;
    offer.expect("IN_PROGRESS -> ASSIGNED under a new fence is legal");
    refuses(&mut database, "update task_run set state = 5").await;
    let taken = sqlx::query("update task_run set state = 5, offered = false")
        .execute(&mut database)
        .await;
    taken.expect("ASSIGNED -> IN_PROGRESS is legal");
    refuses(
        &mut database,
        "insert into task_outcome (task_id, tenant_id, from_state, state, version, attempt, fence,
             failures, lost_leases, ready_time, end_time)
         select task_id, tenant_id, 1, 6, 1, 1, 1, 0, 0, now(), now() from task_run",
    )
    .await;
}

#[tokio::test]
async fn ended_tasks_and_attempts_are_never_changed() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    world.create(hasty("lint", 2)).await;
    let lease = world.lease_one(agent).await;
    world
        .fail(&lease.lease_token, true)
        .await
        .expect("it fails");
    let lease = world.lease_one(agent).await;
    world
        .complete(&lease.lease_token)
        .await
        .expect("it completes");
    let mut database = connect(&world, "set reeve.all_tenants = 'on'").await;
    refuses(&mut database, "update task_outcome set state = 7").await;
    refuses(&mut database, "update attempt set attempt_end = 1").await;
}

#[tokio::test]
async fn a_gate_is_neither_passed_nor_rewritten() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let (_, gate) = world
        .gated(agent, spec("lint"), gate_of(GateKind::Input))
        .await;
    let mut database = connect(&world, "set reeve.all_tenants = 'on'").await;
    let grant = "update task_run set state = 2, lease_until = now() + interval '1 minute'";
    refuses(&mut database, grant).await;
    refuses(&mut database, "update task_run set start_deadline = now()").await;
    refuses(&mut database, "update task_gate set prompt = 'may I?'").await;
    let second = "insert into task_gate (id, tenant_id, task_id, queue, type, kind, state, prompt,
             content_digest, attempt, fence, opener_kind, opener_subject, opener_name, create_time)
         select gen_random_uuid(), tenant_id, task_id, queue, type, kind, state, prompt,
             content_digest, attempt, fence, opener_kind, opener_subject, opener_name, create_time
         from task_gate";
    refuses(&mut database, second).await;
    let answer = crate::gates::input(&gate, serde_json::json!({}));
    world.answer(answer).await.expect("it is answered");
    refuses(
        &mut database,
        "update task_gate set state = 1, close_time = null",
    )
    .await;
    refuses(&mut database, "update task_gate set comment = 'no'").await;
}

#[tokio::test]
async fn the_record_of_a_delegation_is_never_changed() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    world.create(spec("lint")).await;
    let lease = world.lease_one(first).await;
    let handed = to_agent(&lease.lease_token, second);
    world.delegate(handed).await.expect("it is handed on");
    let mut database = connect(&world, "set reeve.all_tenants = 'on'").await;
    let mut refused = Vec::from([
        "update task_delegation set reason = 'another', outcome = 2, outcome_time = now()",
        "update task_delegation set to_agent_id = gen_random_uuid()",
        "update task_delegation set outcome = 4, outcome_time = now()",
        "update task_delegation set outcome = 2",
    ]);
    for sql in &refused {
        refuses(&mut database, sql).await;
    }
    world.lease_one(second).await;
    refused.extend([
        "update task_delegation set outcome = 1, outcome_time = null",
        "update task_delegation set outcome = 3, outcome_time = now()",
        "update task_delegation set outcome = 5, outcome_time = now()",
    ]);
    for sql in refused
        .into_iter()
        .filter(|sql| !sql.contains("outcome = 4"))
    {
        refuses(&mut database, sql).await;
    }
}

/// Makes the database refuse every row of a table from now on, or no more.
async fn spoil(world: &World, table: &str, spoilt: bool) {
    let sql = if spoilt {
        format!(
            "create or replace function task_queue.spoil() returns trigger language plpgsql as
             $$ begin raise exception 'spoilt' using errcode = 'XX000'; end $$;
             create trigger spoil before insert or update on task_queue.{table}
             for each row execute function task_queue.spoil()"
        )
    } else {
        format!("drop trigger spoil on task_queue.{table}")
    };
    let mut admin = world.database.admin().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&mut admin)
        .await
        .expect("an administrator may do anything");
}

#[tokio::test]
async fn whatever_line_of_a_delegation_fails_nothing_has_happened() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(first).await;
    let handed = || {
        let checkpoint = reeve_wellknown::struct_from_json(serde_json::json!({"line": 1}));
        reeve_contracts::task::v1::DelegateTaskRequest {
            checkpoint,
            ..to_agent(&lease.lease_token, second)
        }
    };
    let before = world.get(&created.id).await;
    for table in [
        "attempt",
        "task_run",
        "task_progress",
        "task_delegation",
        "outbox",
    ] {
        spoil(&world, table, true).await;
        let answer = world.delegate(handed()).await;
        spoil(&world, table, false).await;
        refused(answer, Code::Internal, Reason::InternalError);
        assert_eq!(world.get(&created.id).await, before, "{table}");
    }
    world.delegate(handed()).await.expect("it is handed on");
    let before = world.get(&created.id).await;
    for table in ["task_run", "task_delegation", "outbox"] {
        spoil(&world, table, true).await;
        let request = reeve_contracts::task::v1::LeaseTasksRequest {
            wait_duration: None,
            ..lease_of(second, 1)
        };
        let answer = world.work().lease_tasks(world.ask(request)).await;
        spoil(&world, table, false).await;
        refused(answer, Code::Internal, Reason::InternalError);
        assert_eq!(world.get(&created.id).await, before, "{table}");
    }
    let lease = world.lease_one(second).await;
    world
        .complete(&lease.lease_token)
        .await
        .expect("it completes");
}

#[tokio::test]
async fn row_level_security_hides_other_tenants_in_every_table() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let first = world.create(hasty("lint", 2)).await;
    let depends_on = vec![first.id.clone()];
    world
        .create(reeve_contracts::task::v1::TaskSpec {
            depends_on,
            ..spec("test")
        })
        .await;
    let lease = world.lease_one(agent).await;
    world
        .fail(&lease.lease_token, true)
        .await
        .expect("it fails");
    let lease = world.lease_one(agent).await;
    let report = ReportProgressRequest {
        lease_token: lease.lease_token.clone(),
        ..Default::default()
    };
    let reported = world.work().report_progress(world.ask(report)).await;
    reported.expect("it is stored");
    let other = world.agent(&["lint"]);
    let handed = to_agent(&lease.lease_token, other);
    world.delegate(handed).await.expect("it is handed on");
    let request = CreateTaskRequest {
        spec: Some(spec("build")),
        request_id: "one".to_owned(),
        ..Default::default()
    };
    let created = world.tasks().create_task(world.ask(request)).await;
    let created = created.expect("it is created").into_inner().task;
    let cancelled = world
        .cancel(&created.expect("the answer holds it").id)
        .await;
    cancelled.expect("it is cancelled");
    let nightly = crate::schedules::schedule("nightly", "@daily");
    let nightly = world.schedule(nightly).await;
    world.trigger(&nightly.id, "").await.expect("it runs");
    let kind = type_of("ship", serde_json::json!({}));
    world.create_type(kind).await.expect("it is created");
    world.pause("night", "").await;
    let requirement = reeve_contracts::task::v1::CapabilityRequirement {
        version_range: "^2".to_owned(),
        ..Default::default()
    };
    world
        .create(reeve_contracts::task::v1::TaskSpec {
            requirement: Some(requirement),
            ..spec("lint")
        })
        .await;
    world.fills_every_table_of_limits().await;
    world.makes_something().await;
    let careless = world.agent(&["once"]);
    let dead = world.dead_letters(careless, "once", 1).await;
    world.discard(&dead[0], "").await.expect("it is discarded");
    let (_, gate) = world
        .gated(careless, spec("once"), gate_of(GateKind::Input))
        .await;
    assert_eq!(gate.prompt, "which region?");
    let tables = "select relname::text from pg_class c join pg_namespace n on n.oid = relnamespace
         where nspname = 'task_queue' and relkind = 'r' and exists (
             select from pg_attribute where attrelid = c.oid and attname = 'tenant_id')";
    let other = TenantId::new();
    let mut nobody = connect(&world, "").await;
    let mut everybody = connect(&world, "set reeve.all_tenants = 'on'").await;
    let mut stranger = connect(&world, &format!("set reeve.tenant = '{other}'")).await;
    let tables: Vec<String> = sqlx::query_scalar(tables)
        .fetch_all(&mut nobody)
        .await
        .expect("the catalogue");
    assert!(tables.len() >= 8, "{tables:?}");
    for table in tables {
        let count = || sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        for connection in [&mut nobody, &mut stranger] {
            let seen: i64 = sqlx::query_scalar(count())
                .fetch_one(connection)
                .await
                .expect("it may ask");
            assert_eq!(seen, 0, "{table}");
        }
        // The relay empties the outbox.
        let all: i64 = sqlx::query_scalar(count())
            .fetch_one(&mut everybody)
            .await
            .expect("it may ask");
        assert!(all > 0 || table == "outbox", "{table} has nothing to hide");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_holds_up_no_other() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let spoilt = world.create(spec("lint")).await;
    let good = world.create(spec("lint")).await;
    let mut admin = world.database.admin().await;
    let spoil = format!(
        "set session_replication_role = replica;
         update task_queue.task set details = '{{}}' where id = '{}'",
        spoilt.id
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(spoil))
        .execute(&mut admin)
        .await
        .expect("an administrator may do anything");
    let leases = world.lease(agent, 10).await;
    assert_eq!(
        leases.iter().map(id_of).collect::<Vec<_>>(),
        [good.id.as_str()]
    );
    let request = ListTasksRequest {
        page_size: 1,
        ..Default::default()
    };
    let list = world.tasks().list_tasks(world.ask(request)).await;
    let tasks = list.expect("a list").into_inner().tasks;
    assert_eq!(
        tasks.iter().map(|task| &task.id).collect::<Vec<_>>(),
        [&good.id]
    );
    let request = GetTaskRequest {
        task_id: spoilt.id.clone(),
    };
    let answer = world.tasks().get_task(world.ask(request)).await;
    refused(answer, Code::Internal, Reason::InternalError);
}
