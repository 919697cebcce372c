//! Roles, tenant scope and error classification, on a real PostgreSQL.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use reeve_ids::{TenantId, Uuid};
use reeve_postgres::sqlx::migrate::Migrator;
use reeve_postgres::sqlx::types::chrono::{DateTime, Utc};
use reeve_postgres::{Database, Error, Schema, sqlx};
use reeve_testkit::{TestDatabase, eventually};

static NOTES: Migrator = sqlx::migrate!("tests/postgres/migrations");

fn schema(name: &'static str) -> Schema {
    Schema::new(name).with("notes", &NOTES)
}

async fn add(database: &Database, tenant: TenantId, text: &str) -> Result<(), Error> {
    let mut tx = database.tenant(tenant).await?;
    sqlx::query("insert into note (id, tenant_id, text) values ($1, $2, $3)")
        .bind(Uuid::now_v7())
        .bind(tenant.uuid())
        .bind(text)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

async fn count(database: &Database, tenant: TenantId) -> i64 {
    let mut tx = database.tenant(tenant).await.unwrap();
    // On purpose without a tenant in the query: only the second wall is under test.
    sqlx::query_scalar("select count(*) from note")
        .fetch_one(&mut *tx)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_tenant_sees_its_own_rows_alone() {
    let schema = schema("notes_a");
    let test = TestDatabase::new(&[&schema]).await;
    let database = test.connect(&schema);
    let (one, two) = (TenantId::new(), TenantId::new());
    add(&database, one, "a").await.unwrap();
    add(&database, one, "b").await.unwrap();
    add(&database, two, "c").await.unwrap();
    assert_eq!(
        (count(&database, one).await, count(&database, two).await),
        (2, 1)
    );

    let all: i64 = sqlx::query_scalar("select count(*) from note")
        .fetch_one(database.internal_pool())
        .await
        .unwrap();
    assert_eq!(all, 3);
}

#[tokio::test]
async fn a_tenant_cannot_write_for_another() {
    let schema = schema("notes_b");
    let test = TestDatabase::new(&[&schema]).await;
    let database = test.connect(&schema);
    let mut tx = database.tenant(TenantId::new()).await.unwrap();
    let refused = sqlx::query("insert into note (id, tenant_id, text) values ($1, $2, 'x')")
        .bind(Uuid::now_v7())
        .bind(TenantId::new().uuid())
        .execute(&mut *tx)
        .await;
    let code = refused
        .unwrap_err()
        .into_database_error()
        .unwrap()
        .code()
        .unwrap()
        .into_owned();
    // insufficient_privilege: the row violates the policy.
    assert_eq!(code, "42501");
}

#[tokio::test]
async fn the_app_role_has_no_ddl_and_no_way_into_another_schema() {
    let (own, other) = (schema("notes_c"), schema("notes_d"));
    let test = TestDatabase::new(&[&own, &other]).await;
    let database = test.connect(&own);
    for sql in [
        "create table notes_c.mine (id int)",
        "alter table note add column extra int",
        "drop table note",
        "create table public.mine (id int)",
        "select * from notes_d.note",
        "set role notes_c_owner",
    ] {
        let refused = sqlx::query(sql).execute(database.internal_pool()).await;
        let error = refused.expect_err(sql).into_database_error().expect(sql);
        assert_eq!(error.code().as_deref(), Some("42501"), "{sql}");
    }
}

#[tokio::test]
async fn errors_are_told_apart_by_sqlstate() {
    let schema = schema("notes_e");
    let test = TestDatabase::new(&[&schema]).await;
    let database = test.connect(&schema);
    let tenant = TenantId::new();
    add(&database, tenant, "same").await.unwrap();
    let twice = add(&database, tenant, "same").await.unwrap_err();
    assert!(
        matches!(&twice, Error::UniqueViolation { constraint } if constraint == "note_text_once"),
        "{twice:?}"
    );
    let empty = add(&database, tenant, "").await.unwrap_err();
    assert!(matches!(&empty, Error::CheckViolation { .. }), "{empty:?}");
}

#[tokio::test]
async fn a_database_that_is_away_is_unavailable() {
    let config = reeve_postgres::DatabaseConfig {
        acquire_timeout_ms: 300,
        ..reeve_postgres::DatabaseConfig::with_url("postgres://nobody:x@127.0.0.1:1/none")
    };
    let database = Database::connect(&config, "notes").unwrap();
    assert!(!database.is_reachable().await);
    assert_eq!(
        database.check(&schema("notes_a")).await,
        Err("PostgreSQL does not answer")
    );
    let error = database.tenant(TenantId::new()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let schema = schema("notes_f");
    let test = TestDatabase::new(&[&schema]).await;
    let database = test.connect(&schema);
    let tenant = TenantId::new();
    add(&database, tenant, "kept").await.unwrap();
    let password = reeve_postgres::AppPassword::Keep;
    reeve_postgres::migrate(&test.admin_url(), &[&schema], &password)
        .await
        .unwrap();
    assert_eq!(count(&database, tenant).await, 1);
}

#[tokio::test]
async fn a_connection_lost_while_it_commits_leaves_the_change_open() {
    let schema = schema("notes_g");
    let test = TestDatabase::new(&[&schema]).await;
    let database = test.connect(&schema);
    // Deferred, so that it runs within the COMMIT.
    let lose = "create function notes_g.lose() returns trigger language plpgsql security definer as
                $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$;
                create constraint trigger lose after insert on notes_g.note
                deferrable initially deferred for each row execute function notes_g.lose()";
    let mut admin = test.admin().await;
    sqlx::raw_sql(lose).execute(&mut admin).await.unwrap();
    let lost = add(&database, TenantId::new(), "x").await.unwrap_err();
    assert!(matches!(&lost, Error::Uncertain(_)), "{lost:?}");
    let fault = reeve_status::Fault::from(&lost);
    assert_eq!(fault.code(), reeve_status::Code::DeadlineExceeded);
    assert_eq!(fault.reason(), reeve_status::Reason::DeadlinePassed);
}

#[tokio::test]
async fn what_a_commit_refuses_is_certain() {
    let schema = schema("notes_h");
    let test = TestDatabase::new(&[&schema]).await;
    let database = test.connect(&schema);
    let refuse = "create function notes_h.refuse() returns trigger language plpgsql as
                  $$ begin raise exception 'no'; end $$;
                  create constraint trigger refuse after insert on notes_h.note
                  deferrable initially deferred for each row execute function notes_h.refuse()";
    let mut admin = test.admin().await;
    sqlx::raw_sql(refuse).execute(&mut admin).await.unwrap();
    let refused = add(&database, TenantId::new(), "x").await.unwrap_err();
    assert!(matches!(&refused, Error::Raised { .. }), "{refused:?}");
}

#[tokio::test]
async fn an_administrator_need_not_be_a_superuser() {
    let schema = schema("notes_i");
    // A database without the schema, and whose roles nobody has made yet.
    let test = TestDatabase::new(&[&self::schema("notes_a")]).await;
    let mut admin = test.admin().await;
    // On a server that outlives the test they would belong to the administrator of the last run.
    let forget = sqlx::raw_sql("drop role if exists notes_i_owner, notes_i_app");
    let _ = forget.execute(&mut admin).await;
    let role = format!("admin_{}", Uuid::now_v7().simple());
    let make = format!(
        "create role {role} login nosuperuser createrole password '{role}';
         grant create on database {} to {role}",
        test.name()
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(make))
        .execute(&mut admin)
        .await
        .unwrap();
    let (_, host) = test
        .admin_url()
        .rsplit_once('@')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let url = format!("postgres://{role}:{role}@{host}");
    let password = reeve_postgres::AppPassword::Keep;
    for _ in 0..2 {
        reeve_postgres::migrate(&url, &[&schema], &password)
            .await
            .unwrap();
    }
    let made: bool = sqlx::query_scalar("select to_regclass('notes_i.note') is not null")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert!(made);
}

#[tokio::test]
async fn a_schema_without_all_migrations_is_not_ready() {
    static LATER: Migrator = sqlx::migrate!("tests/postgres/later");
    let (old, new) = (schema("notes_j"), schema("notes_j").with("later", &LATER));
    let test = TestDatabase::new(&[&old]).await;
    let database = test.connect(&old);
    assert_eq!(test.connect(&old).check(&old).await, Ok(()));
    let missing = Err("the schema is not migrated: run reeve migrate");
    assert_eq!(database.check(&new).await, missing);
    let password = reeve_postgres::AppPassword::Keep;
    reeve_postgres::migrate(&test.admin_url(), &[&new], &password)
        .await
        .unwrap();
    assert_eq!(database.check(&new).await, Ok(()));
    // The version before goes on while the new one is rolled out.
    assert_eq!(test.connect(&old).check(&old).await, Ok(()));
    let mut admin = test.admin().await;
    let edited = "update notes_j._migrations_later set checksum = ''";
    sqlx::raw_sql(edited).execute(&mut admin).await.unwrap();
    assert_eq!(test.connect(&old).check(&new).await, missing);
}

#[tokio::test]
async fn a_caller_who_leaves_leaves_no_transaction_behind() {
    let schema = schema("notes_left");
    let test = TestDatabase::new(&[&schema]).await;
    let database = test.connect(&schema);
    let mut admin = test.admin().await;
    let now = "select clock_timestamp()";
    let rolled_back = "select count(*) > 0 from pg_stat_activity where state = 'idle'
        and application_name = 'reeve/notes_left' and query = 'ROLLBACK' and query_start > $1";
    let mut began: DateTime<Utc> = sqlx::query_scalar(now).fetch_one(&mut admin).await.unwrap();
    drop(database.tenant(TenantId::new()).await.unwrap());
    // The second caller leaves when its begin is under way, on the connection of the first.
    for leaves in [false, true] {
        eventually(|| async {
            let mut admin = test.admin().await;
            let query = sqlx::query_scalar::<_, bool>(rolled_back).bind(began);
            query.fetch_one(&mut admin).await.unwrap()
        })
        .await;
        if !leaves {
            began = sqlx::query_scalar(now).fetch_one(&mut admin).await.unwrap();
            let mut begin = pin!(database.tenant(TenantId::new()));
            let begun = poll_fn(|context| Poll::Ready(begin.as_mut().poll(context).is_ready()));
            assert!(!begun.await);
        }
    }
}

#[tokio::test]
async fn connections_that_broke_while_they_were_idle_cost_nobody_anything() {
    let schema = schema("notes_cut");
    let test = TestDatabase::new(&[&schema]).await;
    let database = test.connect(&schema);
    let tenant = TenantId::new();
    let begun = several(&database, tenant).await;
    drop(begun);
    let mut admin = test.admin().await;
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and application_name = 'reeve/notes_cut'";
    let cut: i64 = sqlx::query_scalar(cut).fetch_one(&mut admin).await.unwrap();
    assert!(cut > 1, "{cut} connections were cut");
    add(&database, tenant, "after").await.unwrap();
    assert_eq!(count(&database, tenant).await, 1);
}

/// Several transactions at once, so that the pool has as many connections.
async fn several(database: &Database, tenant: TenantId) -> Vec<reeve_postgres::Tx> {
    let mut begun = Vec::new();
    for _ in 0..3 {
        begun.push(database.tenant(tenant).await.unwrap());
    }
    begun
}
