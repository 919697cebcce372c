//! The database agrees with the domain, and holds what only it can hold.

use crate::harness::World;

#[tokio::test]
async fn the_table_of_transitions_is_the_domains() {
    let world = World::start().await;
    let mut admin = world.database.admin().await;
    let edges: Vec<String> = sqlx::query_scalar(
        "select from_state || ' ' || to_state from agent_registry.agent_transition order by 1",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    let mut expected = [
        "OFFLINE STARTING",
        "STARTING ACTIVE",
        "STARTING ERROR",
        "ACTIVE DRAINING",
        "ACTIVE MAINTENANCE",
        "ACTIVE ERROR",
        "ACTIVE STOPPING",
        "DRAINING INACTIVE",
        "DRAINING ERROR",
        "INACTIVE ACTIVE",
        "INACTIVE MAINTENANCE",
        "INACTIVE STOPPING",
        "MAINTENANCE ACTIVE",
        "MAINTENANCE INACTIVE",
        "MAINTENANCE STOPPING",
        "ERROR STOPPING",
        "ERROR MAINTENANCE",
        "STOPPING OFFLINE",
    ];
    expected.sort_unstable();
    assert_eq!(edges, expected);
}

#[tokio::test]
async fn a_key_cannot_be_unrevoked_nor_widened() {
    let world = World::start().await;
    let mut admin = world.database.admin().await;
    let revoke = "update agent_registry.api_key set revoke_time = now()";
    sqlx::query(revoke).execute(&mut admin).await.unwrap();
    for statement in [
        "update agent_registry.api_key set revoke_time = null",
        "update agent_registry.api_key set permissions = '{a.b}'",
        "update agent_registry.api_key set kind = 'AGENT'",
    ] {
        let answer = sqlx::query(statement).execute(&mut admin).await;
        let error = answer
            .expect_err(statement)
            .into_database_error()
            .expect("a database error");
        assert_eq!(error.code().as_deref(), Some("P0001"), "{statement}");
    }
}
