//! What follows from silence, and when nothing does.

use chrono::TimeDelta;
use reeve_contracts::agent::v1::AgentState;
use reeve_contracts::event::v1::Event;
use reeve_redis::{Redis, RedisConfig};
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;

use crate::harness::{World, beat_of, datum, edges, id_of, lease_of, refused_status};

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
    let mut world = World::start().await;
    let agent = world.active("forgotten").await;
    let leases = world.leases();
    eventually(|| async { leases.count().await.is_ok_and(|count| count.total == 1) }).await;
    // As if the registry had crashed between the registration and the lease.
    world.stop().await;
    let removed = leases.remove(&[lease_of(&agent)]).await;
    assert_eq!(removed.unwrap(), 1);
    world.run().await;
    eventually(|| async { leases.count().await.is_ok_and(|count| count.total == 1) }).await;
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
async fn an_agent_that_nobody_could_hear_is_not_lost() {
    let mut world = World::start().await;
    let agent = world.active("alone").await;
    world.stop().await;
    world.lapse(&agent).await;
    world.run().await;
    let away = |events: &[Event]| events.iter().any(|e| datum(e, "cause") == "REGISTRY_AWAY");
    world.events(away).await;
    let reply = world.beat(beat_of(&agent)).await.expect("it is heard");
    assert_eq!(reply.state(), AgentState::Active);
    let leases = world.leases();
    eventually(|| async { leases.count().await.is_ok_and(|count| count.expired == 0) }).await;
    assert_eq!(world.get(&id_of(&agent)).await.state(), AgentState::Active);
}

#[tokio::test]
async fn an_agent_that_is_being_changed_keeps_its_lapsed_lease() {
    // No lease is granted anew while the test runs.
    let lease = TimeDelta::minutes(10);
    let (world, clock) = World::with_clock(&[("heartbeat.lease", "10m")]).await;
    let locked = world.active("locked").await;
    let witness = world.active("witness").await;
    let mut admin = world.database.admin().await;
    let lock = "begin; select from agent_registry.agent where name = 'locked' for update";
    sqlx::raw_sql(lock).execute(&mut admin).await.unwrap();
    eventually(|| async {
        world.lapse(&locked).await;
        world.lapse(&witness).await;
        // Until nobody was heard for a lease, with many looks in it.
        clock.advance(lease / 10);
        world.get(&id_of(&witness)).await.state() == AgentState::Error
    })
    .await;
    let leases = world.leases();
    let lapsed = async || -> Vec<String> {
        let lapsed = leases.expired(10).await.expect("Redis is there");
        lapsed.into_iter().map(|lease| lease.id).collect()
    };
    let gone = async || !lapsed().await.contains(&lease_of(&witness));
    eventually(gone).await;
    assert_eq!(lapsed().await, [lease_of(&locked)]);
    sqlx::raw_sql("rollback").execute(&mut admin).await.unwrap();
    becomes(&world, &id_of(&locked), AgentState::Error).await;
}

#[tokio::test]
async fn whoever_leaves_in_order_leaves_no_lease_behind() {
    // Nobody is silent for so long, and nothing is granted anew.
    let world = World::with(&[("heartbeat.lease", "10m")]).await;
    let leases = world.leases();
    let held = async |expected: u64| {
        eventually(|| async {
            let total = leases.count().await.expect("Redis is there").total;
            (total == expected)
                .then_some(())
                .ok_or_else(|| format!("{total} leases instead of {expected}"))
        })
        .await;
    };
    world.active("restarted").await;
    held(1).await;
    // A new process takes the place of the old one, whose lease must not stay either.
    let again = world.active("restarted").await;
    let id = id_of(&again);
    world
        .transition(&id, AgentState::Maintenance)
        .await
        .unwrap();
    held(0).await;
    // Where silence means nothing, a heartbeat makes no lease either.
    world.beat(beat_of(&again)).await.unwrap();
    world.active("witness").await;
    held(1).await;
    assert_eq!(leases.remove(&[lease_of(&again)]).await.unwrap(), 0);
    world.transition(&id, AgentState::Active).await.unwrap();
    eventually(|| async {
        leases
            .remove(&[lease_of(&again)])
            .await
            .is_ok_and(|it| it == 1)
    })
    .await;
}

#[tokio::test]
async fn most_of_a_fleet_gets_a_grace_period_before_it_is_believed_dead() {
    let (mut world, clock) = World::with_clock(&[]).await;
    let mut agents = Vec::new();
    for number in 0..6 {
        agents.push(world.active(&format!("agent-{number}")).await);
    }
    // While the registry is away, nobody can renew.
    world.stop().await;
    for agent in &agents {
        world.lapse(agent).await;
    }
    world.run().await;
    let cause = |cause: &'static str| move |e: &Event| datum(e, "cause") == cause;
    let events = world
        .events(|events| {
            clock.advance(TimeDelta::seconds(2));
            events.iter().any(cause("FLEET_LAPSING"))
        })
        .await;
    assert!(events.iter().any(cause("REGISTRY_AWAY")), "that came first");
    let at = events.iter().position(cause("FLEET_LAPSING")).unwrap();
    let lost = |events: &[Event]| events.iter().any(|e| e.r#type == "agent.heartbeat_lost");
    assert!(
        !lost(&events[..at]),
        "nobody was declared lost before the brake"
    );
    // They are dead after all.
    eventually(|| async {
        clock.advance(TimeDelta::seconds(2));
        let first = world.get(&id_of(&agents[0])).await;
        first.state() == AgentState::Error
    })
    .await;
    for agent in &agents {
        becomes(&world, &id_of(agent), AgentState::Error).await;
    }
}

#[tokio::test]
async fn an_emptied_redis_declares_nobody_dead() {
    let (world, clock) = World::with_clock(&[]).await;
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
    eventually(|| async {
        world.lapse(&agent).await;
        clock.advance(TimeDelta::seconds(2));
        world.get(&id).await.state() == AgentState::Error
    })
    .await;
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
