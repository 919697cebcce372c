//! PostgreSQL going away.

use chrono::TimeDelta;
use reeve_auth::ApiKey;
use reeve_contracts::agent::v1::{AgentState, GetAgentRequest};
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;
use sqlx::AssertSqlSafe;

use crate::harness::{World, id_of, loaded, refused, refused_status, registration};

/// Lets nobody into the test's database but the administrator, or everybody again.
async fn shut(world: &World, is_shut: bool) {
    let mut admin = world.database.admin().await;
    let (name, limit) = (world.database.name(), if is_shut { 0 } else { -1 });
    let limit = format!(
        "alter database {name} connection limit {limit};
         select pg_terminate_backend(pid) from pg_stat_activity
         where datname = '{name}' and pid <> pg_backend_pid()"
    );
    let shut = sqlx::raw_sql(AssertSqlSafe(limit))
        .execute(&mut admin)
        .await;
    shut.expect("the administrator may");
}

#[tokio::test]
async fn known_agents_are_heard_while_postgresql_is_away() {
    let (mut world, clock) = World::with_clock(&[]).await;
    world
        .run_with(|database| database.acquire_timeout_ms = 200)
        .await;
    let agent = world.active("heard").await;

    shut(&world, true).await;
    // Minutes, though a key that was read is believed for ten seconds.
    for load in 0..5 {
        clock.advance(TimeDelta::minutes(1));
        let reply = world.beat(loaded(&agent, load)).await;
        assert_eq!(reply.expect("it is heard").state(), AgentState::Active);
    }
    let away = (Code::Unavailable, Reason::DatabaseUnavailable);
    let unknown = ApiKey::generate().reveal();
    refused_status(world.caller(&unknown).await, away.0, away.1);
    let request = world.ask(registration("new"));
    refused(world.agents().register_agent(request).await, away.0, away.1);
    // It is not believed for ever.
    clock.advance(TimeDelta::minutes(10));
    refused_status(world.caller(&world.admin).await, away.0, away.1);

    shut(&world, false).await;
    let request = || {
        world.ask(GetAgentRequest {
            agent_id: id_of(&agent),
        })
    };
    let shown = eventually(|| async { world.agents().get_agent(request()).await }).await;
    let shown = shown.into_inner().agent.expect("the answer holds it");
    assert_eq!(shown.state(), AgentState::Active);
    assert_eq!(shown.workload.expect("it was heard").active_task_count, 4);
}

#[tokio::test]
async fn a_connection_that_breaks_at_the_commit_leaves_open_whether_it_was_made() {
    let world = World::start().await;
    let mut admin = world.database.admin().await;
    let dying = "
        create function break_off() returns trigger language plpgsql security definer as $$
        begin
            perform pg_terminate_backend(pg_backend_pid());
            return null;
        end $$;
        create constraint trigger break_off after insert on agent_registry.agent
            deferrable initially deferred for each row execute function break_off()";
    sqlx::raw_sql(dying).execute(&mut admin).await.unwrap();
    let request = world.ask(registration("uncertain"));
    refused(
        world.agents().register_agent(request).await,
        Code::DeadlineExceeded,
        Reason::DeadlinePassed,
    );
}
