//! What the database refuses by itself.

use reeve_contracts::incident::v1 as proto;
use reeve_incident::Incident;
use reeve_postgres::sqlx::{self, Connection as _, PgConnection};

use crate::harness::World;

const STATUSES: [&str; 7] = [
    "DETECTED",
    "ACKNOWLEDGED",
    "INVESTIGATING",
    "MITIGATING",
    "MITIGATED",
    "RESOLVED",
    "CLOSED",
];
/// Row by row what may follow: x is legal, = is no change.
const LEGAL: [&str; 7] = [
    "=xx..xx", "x=xx.xx", "x.=xxxx", "..x=xx.", "..xx=x.", "..x..=x", "..x...=",
];

/// The app role's own connection, which sees the test's tenant.
async fn app(world: &World) -> PgConnection {
    let url = world.database.url(&Incident::schema());
    let mut connection = PgConnection::connect(&url)
        .await
        .expect("the app role connects");
    let set = format!(
        "set search_path = incident; set reeve.tenant = '{}'",
        world.tenant
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(set))
        .execute(&mut connection)
        .await
        .expect("it is set");
    connection
}

async fn run(connection: &mut PgConnection, sql: String) -> Result<u64, sqlx::Error> {
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

#[tokio::test]
async fn every_cell_of_the_lifecycle_by_sql() {
    let world = World::start().await;
    let id = world.create().await.id;
    let mut admin = world.database.admin().await;
    run(&mut admin, "set search_path = incident".to_owned())
        .await
        .expect("it is set");
    for (from, row) in STATUSES.iter().zip(LEGAL) {
        for (to, cell) in STATUSES.iter().zip(row.chars()) {
            // What other constraints ask of a status goes with it, so that only the cell decides.
            let change = |status: &str| {
                let reason = if status == "CLOSED" {
                    "'COMPLETED'"
                } else {
                    "null"
                };
                format!(
                    "update incident set status = '{status}', close_reason = {reason}, \
                     resolution = '{{}}' where id = '{id}'"
                )
            };
            run(
                &mut admin,
                "alter table incident disable trigger transition".to_owned(),
            )
            .await
            .expect("the administrator may");
            run(&mut admin, change(from))
                .await
                .expect("without the trigger it is allowed");
            run(
                &mut admin,
                "alter table incident enable trigger transition".to_owned(),
            )
            .await
            .expect("the administrator may");
            let moved = run(&mut admin, change(to)).await;
            assert_eq!(moved.is_ok(), cell != '.', "{from} -> {to}: {moved:?}");
        }
    }
}

#[tokio::test]
async fn an_incident_begins_detected() {
    let world = World::start().await;
    let id = world.create().await.id;
    let mut admin = world.database.admin().await;
    run(&mut admin, "set search_path = incident".to_owned())
        .await
        .expect("it is set");
    for status in &STATUSES[1..5] {
        let copy = format!(
            "create temp table copy on commit drop as select * from incident where id = '{id}'; \
             update copy set id = gen_random_uuid(), status = '{status}'; \
             insert into incident select * from copy"
        );
        let answer = run(&mut admin, format!("begin; {copy}; rollback")).await;
        assert!(answer.is_err(), "{status}");
        run(&mut admin, "rollback".to_owned())
            .await
            .expect("there is nothing to lose");
    }
}

#[tokio::test]
async fn records_are_append_only_for_the_service_and_for_the_owner() {
    let world = World::start().await;
    let id = world.create().await.id;
    world.fail_task("t-1", "lint", "boom");
    world.opened(2).await;
    let mut app = app(&world).await;
    let mut admin = world.database.admin().await;
    run(&mut admin, "set search_path = incident".to_owned())
        .await
        .expect("it is set");
    for table in ["event", "incident_event"] {
        for sql in [
            format!("update {table} set tenant_id = tenant_id"),
            format!("delete from {table}"),
        ] {
            assert!(
                run(&mut app, sql.clone()).await.is_err(),
                "{sql} as the app"
            );
            assert!(
                run(&mut admin, sql.clone()).await.is_err(),
                "{sql} as the administrator"
            );
        }
        assert!(
            run(&mut admin, format!("truncate {table} cascade"))
                .await
                .is_err()
        );
    }
    for sql in [
        format!("delete from incident where id = '{id}'"),
        "delete from signal".to_owned(),
        "delete from evidence".to_owned(),
        "delete from rule".to_owned(),
        "delete from request".to_owned(),
        "insert into incident_transition values ('CLOSED', 'DETECTED')".to_owned(),
    ] {
        assert!(run(&mut app, sql.clone()).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn evidence_is_frozen_once_it_is_settled() {
    let world = World::start().await;
    world.fail_task("t-1", "lint", "boom");
    let incident = world.opened(1).await;
    let settled = |incident: &reeve_contracts::incident::v1::Incident| {
        incident
            .evidence
            .iter()
            .all(|one| one.collect_time.is_some())
    };
    world.becomes(&incident.id, settled).await;
    let mut app = app(&world).await;
    for column in [
        "attempts = '[]'",
        "task = '{}'",
        "state = 'PENDING'",
        "incomplete_reason = 'x'",
    ] {
        let changed = run(&mut app, format!("update evidence set {column}")).await;
        assert!(changed.is_err(), "{column}");
    }
}

#[tokio::test]
async fn row_level_security_hides_other_tenants() {
    let world = World::start().await;
    let id = world.create().await.id;
    let update = proto::AddActionRequest {
        request_id: "r".to_owned(),
        incident_id: id,
        action: Some(proto::IncidentAction {
            r#type: proto::IncidentActionType::Testing.into(),
            state: proto::IncidentActionState::Planned.into(),
            description: "load test".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    world
        .incidents()
        .add_action(world.ask(update))
        .await
        .expect("it is open");
    world.fail_task("t-1", "lint", "boom");
    world.opened(2).await;
    let mut app = app(&world).await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c
         join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
         where c.relkind = 'r' and c.relnamespace = 'incident'::regnamespace",
    )
    .fetch_all(&mut app)
    .await
    .expect("the catalogue is for everyone");
    assert!(tables.len() >= 11, "{tables:?}");
    for table in tables {
        let count = format!("select count(*) from {table}");
        let seen: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count.clone()))
            .fetch_one(&mut app)
            .await
            .expect("the app may read");
        assert!(seen > 0, "{table} is empty, which proves nothing");
        run(
            &mut app,
            "set reeve.tenant = '0190f3c4-8d6e-7a55-b3a0-4f6d1c2e9b7a'".to_owned(),
        )
        .await
        .expect("it is set");
        let hidden: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count))
            .fetch_one(&mut app)
            .await
            .expect("the app may read");
        assert_eq!(hidden, 0, "{table}");
        run(&mut app, format!("set reeve.tenant = '{}'", world.tenant))
            .await
            .expect("it is set");
    }
}

#[tokio::test]
async fn no_table_is_without_forced_row_security() {
    let world = World::start().await;
    let mut admin = world.database.admin().await;
    let open: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class
         where relkind = 'r' and relnamespace = 'incident'::regnamespace
             and not (relrowsecurity and relforcerowsecurity) order by relname",
    )
    .fetch_all(&mut admin)
    .await
    .expect("the catalogue is for everyone");
    // What holds nothing of any tenant.
    let plain = [
        "_migrations_events",
        "_migrations_incident",
        "_migrations_tenant_scope",
        "event_head",
        "incident_transition",
    ];
    assert_eq!(open, plain);
}

#[tokio::test]
async fn one_key_has_one_open_incident() {
    let world = World::start().await;
    world.fail_task("t-1", "lint", "boom");
    world.opened(1).await;
    let mut admin = world.database.admin().await;
    let again = "set search_path = incident; \
                 create temp table copy as select * from incident; \
                 update copy set id = gen_random_uuid(), status = 'DETECTED'; \
                 insert into incident select * from copy";
    let answer = run(&mut admin, again.to_owned()).await;
    let error = answer.expect_err("a second one is refused").to_string();
    assert!(error.contains("incident_open_key"), "{error}");
}
