//! Databases are copies of a template and see nothing of each other.

use reeve_postgres::Schema;
use reeve_testkit::{TestDatabase, eventually, redis};
use sqlx::{Connection as _, PgConnection};

fn schema() -> Schema {
    Schema::new("testkit")
}

#[tokio::test]
async fn tests_do_not_see_each_other() {
    let schema = schema();
    let schemas = [&schema];
    let (one, two) = tokio::join!(TestDatabase::new(&schemas), TestDatabase::new(&schemas));
    assert_ne!(one.name(), two.name());
    let create = "create table testkit.mark (id int)";
    sqlx::query(create)
        .execute(&mut one.admin().await)
        .await
        .unwrap();
    sqlx::query(create)
        .execute(&mut two.admin().await)
        .await
        .expect("another database");
}

#[tokio::test]
async fn the_app_role_gets_in_and_may_not_change_the_schema() {
    let schema = schema();
    let database = TestDatabase::new(&[&schema]).await;
    let mut app = PgConnection::connect(&database.url(&schema)).await.unwrap();
    let role: String = sqlx::query_scalar("select current_user")
        .fetch_one(&mut app)
        .await
        .unwrap();
    assert_eq!(role, "testkit_app");
    sqlx::query("create table testkit.forbidden (id int)")
        .execute(&mut app)
        .await
        .unwrap_err();
    assert!(database.connect(&schema).is_reachable().await);
}

#[tokio::test]
async fn a_database_is_gone_after_its_test() {
    let schema = schema();
    let (kept, gone) = (
        TestDatabase::new(&[&schema]).await,
        TestDatabase::new(&[&schema]).await,
    );
    let name = gone.name().to_owned();
    // A connection left open does not keep it.
    let _open = gone.admin().await;
    drop(gone);
    eventually(|| async {
        let query = sqlx::query_scalar("select datname from pg_database");
        let names: Vec<String> = query.fetch_all(&mut kept.admin().await).await.unwrap();
        names.contains(&kept.name().to_owned()) && !names.contains(&name)
    })
    .await;
}

#[tokio::test]
async fn each_test_has_its_own_prefix_on_one_redis() {
    let (one, two) = (redis().await, redis().await);
    assert_eq!(one.url, two.url);
    assert_ne!(one.prefix, two.prefix);
}
