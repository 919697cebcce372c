//! Every cell of the status machine, through the API and behind its back.

use reeve_contracts::agent::v1::AgentState;
use reeve_status::{Code, Fault, Reason};
use sqlx::{Connection as _, PgConnection};

use crate::harness::{World, id_of};

const STATES: [AgentState; 8] = [
    AgentState::Offline,
    AgentState::Starting,
    AgentState::Active,
    AgentState::Draining,
    AgentState::Inactive,
    AgentState::Maintenance,
    AgentState::Error,
    AgentState::Stopping,
];

/// The machine as the domain document draws it.
fn legal(from: AgentState) -> &'static [AgentState] {
    use AgentState::{Active, Draining, Error, Inactive, Maintenance, Offline, Starting, Stopping};
    match from {
        Offline => &[Starting],
        Starting => &[Active, Error],
        Active => &[Draining, Maintenance, Error, Stopping],
        Draining => &[Inactive, Error],
        Inactive => &[Active, Maintenance, Stopping],
        Maintenance => &[Active, Inactive, Stopping],
        Error => &[Stopping, Maintenance],
        Stopping => &[Offline],
        AgentState::Unspecified => &[],
    }
}

/// The states to pass from STARTING.
fn way(to: AgentState) -> &'static [AgentState] {
    use AgentState::{Active, Draining, Error, Inactive, Maintenance, Offline, Starting, Stopping};
    match to {
        Starting | AgentState::Unspecified => &[],
        Active => &[Active],
        Draining => &[Active, Draining],
        Inactive => &[Active, Draining, Inactive],
        Maintenance => &[Active, Maintenance],
        Error => &[Error],
        Stopping => &[Active, Stopping],
        Offline => &[Active, Stopping, Offline],
    }
}

fn word(state: AgentState) -> &'static str {
    state.as_str_name().trim_start_matches("AGENT_STATE_")
}

#[tokio::test]
async fn the_api_allows_the_legal_edges_alone_and_names_them() {
    let world = World::start().await;
    for from in STATES {
        for to in STATES {
            let id = id_of(
                &world
                    .register(&format!("{}-{}", word(from), word(to)))
                    .await,
            );
            for state in way(from) {
                world.transition(&id, *state).await.unwrap();
            }
            let before = world.get(&id).await;
            assert_eq!(before.state(), from);
            let answer = world.transition(&id, to).await;
            // Registering alone starts an agent.
            let allowed = legal(from).contains(&to) && from != AgentState::Offline;
            match answer {
                Ok(after) => {
                    assert!(allowed, "{} -> {}", word(from), word(to));
                    assert_eq!(after.state(), to);
                }
                Err(status) => {
                    assert!(!allowed, "{} -> {}: {status}", word(from), word(to));
                    check(&Fault::from(&status), from, to);
                    assert_eq!(world.get(&id).await, before);
                }
            }
        }
    }
}

fn check(fault: &Fault, from: AgentState, to: AgentState) {
    assert_eq!(fault.code(), Code::FailedPrecondition);
    assert_eq!(fault.reason(), Reason::TransitionForbidden);
    assert_eq!(
        (
            fault.metadata()["from"].as_str(),
            fault.metadata()["to"].as_str()
        ),
        (word(from), word(to))
    );
    let words: Vec<_> = legal(from).iter().map(|state| word(*state)).collect();
    if from != AgentState::Offline || to != AgentState::Starting {
        assert_eq!(fault.metadata()["legal"], words.join(", "));
    }
    assert_eq!(fault.preconditions().len(), 1);
}

#[tokio::test]
async fn the_database_refuses_every_illegal_edge_by_itself() {
    let world = World::start().await;
    let mut admin = world.database.admin().await;
    for from in STATES {
        for to in STATES {
            let id = id_of(
                &world
                    .register(&format!("{}-{}", word(from), word(to)))
                    .await,
            );
            for state in way(from) {
                world.transition(&id, *state).await.unwrap();
            }
            let changed = force(&mut admin, &id, word(to)).await;
            let allowed = from == to || legal(from).contains(&to);
            assert_eq!(
                changed.is_ok(),
                allowed,
                "{} -> {}: {changed:?}",
                word(from),
                word(to)
            );
        }
    }
    let id = id_of(&world.register("odd").await);
    assert!(
        force(&mut admin, &id, "ASLEEP").await.is_err(),
        "a word that is no state"
    );
}

async fn force(admin: &mut PgConnection, id: &str, state: &str) -> Result<u64, sqlx::Error> {
    let mut tx = admin.begin().await?;
    let done = sqlx::query(
        "update agent_registry.agent set state = $2, version = version + 1 where id = $1::uuid",
    )
    .bind(id)
    .bind(state)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(done.rows_affected())
}

#[tokio::test]
async fn the_database_lets_no_agent_begin_or_leave_but_offline_nor_go_back() {
    let world = World::start().await;
    let mut admin = world.database.admin().await;
    let id = id_of(&world.active("fixed").await);
    for statement in [
        "delete from agent_registry.agent",
        "update agent_registry.agent set version = version",
        "update agent_registry.agent set version = version + 1, epoch = epoch - 1",
        "insert into agent_registry.agent select gen_random_uuid(), tenant_id, 'copy', type,
             model_id, 'ACTIVE', state_reason, capabilities, max_concurrent_tasks, labels, metadata,
             epoch, version, registered_by, create_time, update_time, register_time, transition_time
         from agent_registry.agent",
    ] {
        let answer = sqlx::query(statement).execute(&mut admin).await;
        let error = answer
            .expect_err(statement)
            .into_database_error()
            .expect("a database error");
        assert_eq!(
            error.code().as_deref(),
            Some("P0001"),
            "{statement}: {error}"
        );
    }
    assert_eq!(world.get(&id).await.state(), AgentState::Active);
}
