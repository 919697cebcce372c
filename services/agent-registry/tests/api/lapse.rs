//! What follows from silence, and when nothing does.

use reeve_contracts::agent::v1::AgentState;
use reeve_contracts::event::v1::Event;
use reeve_redis::{Redis, RedisConfig};
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;

use crate::harness::{World, beat_of, datum, edges, id_of, refused_status};

/// Silence is noticed after three seconds: long enough for a loaded machine to do what comes first.
const IMPATIENT: [(&str, &str); 3] = [
    ("heartbeat.interval", "1s"),
    ("heartbeat.lease", "3s"),
    ("heartbeat.grace", "3s"),
];

async fn becomes(world: &World, id: &str, state: AgentState) {
    eventually(|| async {
        let now = world.get(id).await.state();
        (now == state)
            .then_some(())
            .ok_or_else(|| format!("it is {now:?}"))
    })
    .await;
}

#[tokio::test]
async fn a_silent_agent_is_lost_and_comes_back_by_registering() {
    let world = World::with(&IMPATIENT).await;
    let agent = world.active("silent").await;
    let id = id_of(&agent);
    let last = world.get(&id).await.last_heartbeat_time.unwrap();
    becomes(&world, &id, AgentState::Error).await;
    let lost = |events: &[Event]| events.iter().any(|e| e.r#type == "agent.heartbeat_lost");
    let events = world.events(lost).await;
    assert_eq!(
        edges(&events, &id),
        ["OFFLINE>STARTING", "STARTING>ACTIVE", "ACTIVE>ERROR"]
    );
    let lost: Vec<_> = events
        .iter()
        .filter(|e| e.r#type == "agent.heartbeat_lost")
        .collect();
    assert_eq!(lost.len(), 1);
    let told: chrono::DateTime<chrono::Utc> =
        datum(lost[0], "last_heartbeat_time").parse().unwrap();
    assert_eq!(Some(told), reeve_wellknown::datetime(&last));
    assert_eq!(
        lost[0].actor.as_ref().unwrap().subject,
        "service:agent-registry"
    );
    assert_eq!(world.get(&id).await.state_reason, "heartbeats stopped");

    let answer = world.beat(beat_of(&agent)).await;
    refused_status(answer, Code::FailedPrecondition, Reason::AgentNotActive);
    let again = world.active("silent").await;
    assert_eq!((id_of(&again), again.epoch), (id, 2));
}

#[tokio::test]
async fn an_agent_that_never_spoke_is_lost_too() {
    let world = World::with(&IMPATIENT).await;
    let agent = world.register("mute").await;
    becomes(&world, &id_of(&agent), AgentState::Error).await;
}

#[tokio::test]
async fn silence_ends_stopping_and_means_nothing_to_inactive_and_maintenance() {
    let world = World::with(&IMPATIENT).await;
    let stopping = id_of(&world.active("stopping").await);
    let set_aside = id_of(&world.active("set-aside").await);
    let inactive = id_of(&world.active("inactive").await);
    let draining = id_of(&world.active("draining").await);
    world
        .transition(&stopping, AgentState::Stopping)
        .await
        .unwrap();
    world
        .transition(&set_aside, AgentState::Maintenance)
        .await
        .unwrap();
    world
        .transition(&inactive, AgentState::Draining)
        .await
        .unwrap();
    world
        .transition(&inactive, AgentState::Inactive)
        .await
        .unwrap();
    world
        .transition(&draining, AgentState::Draining)
        .await
        .unwrap();
    becomes(&world, &stopping, AgentState::Offline).await;
    becomes(&world, &draining, AgentState::Error).await;
    // Their leases ran out before the next agent's does.
    let witness = id_of(&world.active("witness").await);
    becomes(&world, &witness, AgentState::Error).await;
    assert_eq!(world.get(&set_aside).await.state(), AgentState::Maintenance);
    assert_eq!(world.get(&inactive).await.state(), AgentState::Inactive);
    let events = world
        .events(|events| !edges(events, &stopping).is_empty())
        .await;
    let about = |id: &str| {
        events
            .iter()
            .any(|e| e.r#type == "agent.heartbeat_lost" && e.resource_id == id)
    };
    assert!(!about(&stopping), "it ended as it should");
    // Made active again, silence counts again.
    world
        .transition(&inactive, AgentState::Active)
        .await
        .unwrap();
    becomes(&world, &inactive, AgentState::Error).await;
}

#[tokio::test]
async fn heartbeats_keep_an_agent_alive() {
    let world = World::with(&IMPATIENT).await;
    let lively = world.active("lively").await;
    let silent = id_of(&world.active("silent").await);
    // As long as it takes to lose the other one, twice.
    for _ in 0..2 {
        eventually(|| async {
            world.beat(beat_of(&lively)).await.expect("it is heard");
            world.get(&silent).await.state() == AgentState::Error
        })
        .await;
        world.active("silent").await;
    }
    assert_eq!(world.get(&id_of(&lively)).await.state(), AgentState::Active);
}

#[tokio::test]
async fn an_agent_whose_lease_was_never_granted_gets_one() {
    let world = World::with(&IMPATIENT).await;
    let agent = world.active("forgotten").await;
    let id = id_of(&agent);
    // As if the registry had crashed between the registration and the lease.
    let leases = world.deps.redis.leases("agents", 8);
    let lease = format!("{id}/{}", agent.epoch);
    eventually(|| async {
        leases
            .remove(&[&lease])
            .await
            .is_ok_and(|removed| removed == 1)
    })
    .await;
    becomes(&world, &id, AgentState::Error).await;
}

#[tokio::test]
async fn a_lease_outlives_the_registry() {
    let mut world = World::with(&IMPATIENT).await;
    let id = id_of(&world.active("orphan").await);
    world.stop().await;
    world.run().await;
    becomes(&world, &id, AgentState::Error).await;
}

#[tokio::test]
async fn most_of_a_fleet_gets_a_grace_period_before_it_is_believed_dead() {
    let mut world = World::with(&IMPATIENT).await;
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.push(id_of(&world.active(&format!("agent-{number}")).await));
    }
    // While the registry is away, nobody can renew.
    world.stop().await;
    let leases = world.deps.redis.leases("agents", 8);
    eventually(|| async { leases.count().await.is_ok_and(|count| count.expired == 6) }).await;
    world.run().await;
    let suspended = |events: &[Event]| events.iter().any(|e| e.r#type == "fleet.expiry_suspended");
    let events = world.events(suspended).await;
    let at = events
        .iter()
        .position(|e| e.r#type == "fleet.expiry_suspended")
        .unwrap();
    assert_eq!(datum(&events[at], "cause"), "FLEET_LAPSING");
    let lost = |events: &[Event]| events.iter().any(|e| e.r#type == "agent.heartbeat_lost");
    assert!(
        !lost(&events[..at]),
        "nobody was declared lost before the brake"
    );
    // They are dead after all.
    for id in &ids {
        becomes(&world, id, AgentState::Error).await;
    }
}

#[tokio::test]
async fn an_emptied_redis_declares_nobody_dead() {
    let world = World::with(&IMPATIENT).await;
    let agent = world.active("survivor").await;
    let id = id_of(&agent);
    forget_leases(&world).await;
    let suspended = |events: &[Event]| events.iter().any(|e| datum(e, "cause") == "LEASES_LOST");
    let events = world.events(suspended).await;
    assert!(!edges(&events, &id).contains(&"ACTIVE>ERROR".to_owned()));
    world
        .beat(beat_of(&agent))
        .await
        .expect("it is still heard");
    assert_eq!(world.get(&id).await.state(), AgentState::Active);
    // After the grace period silence counts again.
    becomes(&world, &id, AgentState::Error).await;
}

/// What FLUSHALL would do to this test's keys.
async fn forget_leases(world: &World) {
    let client = redis::Client::open(world.redis.url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let pattern = format!("{}*", world.redis.prefix);
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg(pattern)
        .query_async(&mut connection)
        .await
        .unwrap();
    let _: () = redis::cmd("DEL")
        .arg(keys)
        .query_async(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn without_redis_heartbeats_are_accepted_and_nobody_is_lost() {
    let mut world = World::with(&IMPATIENT).await;
    let agent = world.active("patient").await;
    world.stop().await;
    let nowhere = RedisConfig::new("redis://127.0.0.1:1");
    world.deps.redis = Redis::connect(&nowhere).await.unwrap();
    world.run().await;
    let suspended = |events: &[Event]| {
        events
            .iter()
            .any(|e| datum(e, "cause") == "LEASES_UNREACHABLE")
    };
    world.events(suspended).await;
    // One that begins now is heard too.
    world.active("newcomer").await;
    let heard = world.get(&id_of(&agent)).await.last_heartbeat_time;
    // More than a lease later.
    eventually(|| async {
        let reply = world.beat(beat_of(&agent)).await.expect("it is heard");
        assert_eq!(reply.state(), AgentState::Active);
        let now = world.get(&id_of(&agent)).await.last_heartbeat_time.unwrap();
        now.seconds >= heard.unwrap().seconds + 3
    })
    .await;
}
