//! Heartbeats, one by one and as a stream.

use futures::{StreamExt as _, stream};
use reeve_contracts::agent::v1::stream_heartbeats_response::Outcome;
use reeve_contracts::agent::v1::{
    AgentAction, AgentState, HealthCheck, HealthStatus, Heartbeat, StreamHeartbeatsRequest,
    StreamHeartbeatsResponse, Workload,
};
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;

use crate::harness::{World, beat_of, edges, id_of, lease_of, loaded, refused_status};

#[tokio::test]
async fn the_first_heartbeat_activates_unless_the_process_is_not_ready() {
    let world = World::start().await;
    let agent = world.register("slow").await;
    let waiting = Heartbeat {
        ready: Some(false),
        ..beat_of(&agent)
    };
    assert_eq!(
        world.beat(waiting).await.unwrap().state(),
        AgentState::Starting
    );
    let reply = world.beat(beat_of(&agent)).await.unwrap();
    assert_eq!(reply.state(), AgentState::Active);
    assert!(
        reply
            .actions()
            .any(|action| action == AgentAction::ReportFullState)
    );
    let next = reply.next_heartbeat_duration.unwrap();
    assert!((9..=10).contains(&next.seconds), "{next:?}");
    assert_eq!(reply.lease_duration.unwrap().seconds, 30);
    assert!(
        world
            .beat(loaded(&agent, 0))
            .await
            .unwrap()
            .actions
            .is_empty()
    );
    let id = id_of(&agent);
    let events = world.events(|events| edges(events, &id).len() == 2).await;
    assert_eq!(edges(&events, &id), ["OFFLINE>STARTING", "STARTING>ACTIVE"]);
}

#[tokio::test]
async fn what_agents_report_is_kept() {
    let mut world = World::start().await;
    let agent = world.active("reporter").await;
    let workload = Workload {
        cpu_utilization: 0.25,
        memory_bytes: 1 << 40,
        active_task_count: 1,
        queue_length: 3,
        success_rate: Some(0.9),
        error_rate: Some(0.0),
        average_processing_duration: Some(prost_types::Duration {
            seconds: 1,
            nanos: 500_000_000,
        }),
    };
    let check = |name: &str, status: HealthStatus| HealthCheck {
        name: name.to_owned(),
        status: status.into(),
        message: "m".to_owned(),
        check_time: Some(prost_types::Timestamp {
            seconds: 1_700_000_000,
            nanos: 0,
        }),
    };
    let checks = vec![
        check("model", HealthStatus::Degraded),
        check("disk", HealthStatus::Healthy),
    ];
    let full = Heartbeat {
        workload: Some(workload),
        health_checks: checks,
        ..beat_of(&agent)
    };
    world.beat(full).await.unwrap();
    // One that says nothing leaves the last report as it is.
    world.beat(beat_of(&agent)).await.unwrap();
    let shown = world.get(&id_of(&agent)).await;
    assert_eq!(shown.workload.as_ref(), Some(&workload));
    let names: Vec<_> = shown
        .health_checks
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    assert_eq!(names, ["disk", "model"]);
    // And all of it outlives the process, since the last reports are written when it stops.
    world.stop().await;
    world.run().await;
    let restarted = world.get(&id_of(&agent)).await;
    assert_eq!(restarted, shown);
    // A new process has reported nothing, but the agent has been heard of.
    let again = world.register("reporter").await.agent.unwrap();
    assert_eq!((again.workload, again.health_checks.len()), (None, 0));
    assert!(world.get(&again.id).await.last_heartbeat_time.is_some());
}

#[tokio::test]
async fn heartbeats_do_not_write_rows_one_by_one() {
    let world = World::with(&[("heartbeat.report_period", "1h")]).await;
    let agent = world.active("busy").await;
    for load in 0..200 {
        world.beat(loaded(&agent, load % 3)).await.unwrap();
    }
    let mut admin = world.database.admin().await;
    let rows: i64 = sqlx::query_scalar("select count(*) from agent_registry.agent_status")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert_eq!(rows, 0, "reports wait for the flush");
    let etag = world.get(&id_of(&agent)).await.etag;
    let version: i64 = sqlx::query_scalar("select version from agent_registry.agent")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert_eq!(etag, version.to_string());
    assert_eq!(
        version, 4,
        "made, started, registered, activated: and not touched since"
    );
}

#[tokio::test]
async fn stopped_and_failed_agents_must_register_again() {
    let world = World::start().await;
    for (name, way) in [
        ("failed", vec![AgentState::Error]),
        ("stopped", vec![AgentState::Stopping, AgentState::Offline]),
    ] {
        let agent = world.active(name).await;
        for state in way {
            world.transition(&id_of(&agent), state).await.unwrap();
        }
        let answer = world.beat(beat_of(&agent)).await;
        let fault = refused_status(answer, Code::FailedPrecondition, Reason::AgentNotActive);
        assert!(fault.metadata().contains_key("state"));
        let again = world.register(name).await;
        assert_eq!(
            world.beat(beat_of(&again)).await.unwrap().state(),
            AgentState::Active
        );
    }
}

#[tokio::test]
async fn the_reply_says_what_the_state_asks_for() {
    let world = World::start().await;
    let agent = world.active("told").await;
    let id = id_of(&agent);
    world.beat(loaded(&agent, 0)).await.unwrap();
    for (state, action) in [
        (AgentState::Maintenance, AgentAction::Pause),
        (AgentState::Inactive, AgentAction::Pause),
        (AgentState::Stopping, AgentAction::Stop),
    ] {
        world.transition(&id, state).await.unwrap();
        let reply = world.beat(beat_of(&agent)).await.unwrap();
        assert_eq!(
            (reply.state(), reply.actions().collect::<Vec<_>>()),
            (state, vec![action])
        );
    }
}

#[tokio::test]
async fn a_stream_answers_in_order_and_survives_refusals() {
    let world = World::start().await;
    let good = world.register("good").await;
    let replaced = world.register("replaced").await;
    world.register("replaced").await;
    let failed = world.active("failed").await;
    world
        .transition(&id_of(&failed), AgentState::Error)
        .await
        .unwrap();
    let beats = [
        Some(beat_of(&good)),
        Some(beat_of(&replaced)),
        Some(beat_of(&failed)),
        Some(Heartbeat {
            agent_id: "nonsense".to_owned(),
            ..beat_of(&good)
        }),
        None,
        Some(beat_of(&good)),
    ];
    let messages = beats.map(|heartbeat| StreamHeartbeatsRequest { heartbeat });
    let request = world.ask(stream::iter(messages));
    let answers = world
        .agents()
        .stream_heartbeats(request)
        .await
        .unwrap()
        .into_inner();
    let answers: Vec<_> = answers
        .map(|answer| answer.unwrap().outcome.unwrap())
        .collect()
        .await;
    let told: Vec<_> = answers
        .iter()
        .map(|outcome| match outcome {
            Outcome::Reply(reply) => reply.state().as_str_name(),
            Outcome::Refusal(refusal) => refusal.reason.as_str(),
        })
        .collect();
    assert_eq!(
        told,
        [
            "AGENT_STATE_ACTIVE",
            "STALE_EPOCH",
            "AGENT_NOT_ACTIVE",
            "VALIDATION_FAILED",
            "VALIDATION_FAILED",
            "AGENT_STATE_ACTIVE",
        ]
    );
    let Outcome::Refusal(refusal) = &answers[2] else {
        panic!("a refusal")
    };
    assert_eq!(
        refusal.actions().collect::<Vec<_>>(),
        [AgentAction::Register]
    );
    assert_eq!(
        (refusal.code.as_str(), &refusal.agent_id),
        ("FAILED_PRECONDITION", &id_of(&failed))
    );
}

#[tokio::test]
async fn a_stream_ends_with_draining_when_the_server_stops() {
    let mut world = World::start().await;
    let agent = world.register("streaming").await;
    let first = StreamHeartbeatsRequest {
        heartbeat: Some(beat_of(&agent)),
    };
    let messages = stream::iter([first]).chain(stream::pending());
    let request = world.ask(messages);
    let mut answers = world
        .agents()
        .stream_heartbeats(request)
        .await
        .unwrap()
        .into_inner();
    answers.next().await.expect("an answer").unwrap();
    let (end, ()) = tokio::join!(answers.next(), world.stop());
    refused_status(
        end.expect("a last word"),
        Code::Unavailable,
        Reason::Draining,
    );
}

#[tokio::test]
async fn a_change_of_state_waits_for_whoever_else_changes_the_agent() {
    let world = World::start().await;
    let starting = world.register("starting").await;
    let other = world.active("other").await;
    let mut admin = world.database.admin().await;
    let lock = "begin; select from agent_registry.agent where name = 'starting' for update";
    sqlx::raw_sql(lock).execute(&mut admin).await.unwrap();
    let mut answers = stream_of(&world, [beat_of(&starting), beat_of(&other)]).await;
    // Both are answered though the row is still held; that change waits.
    for state in [AgentState::Starting, AgentState::Active] {
        let outcome = answers.next().await.unwrap().unwrap().outcome.unwrap();
        let Outcome::Reply(reply) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(reply.state(), state);
    }
    sqlx::raw_sql("rollback").execute(&mut admin).await.unwrap();
    let reply = world.beat(beat_of(&starting)).await.unwrap();
    assert_eq!(reply.state(), AgentState::Active);
}

#[tokio::test]
async fn an_agent_that_waits_for_the_database_holds_up_no_other_of_its_stream() {
    let mut world = World::start().await;
    let slow = world.active("slow").await;
    let other = world.active("other").await;
    let leases = world.leases();
    let held = async |expected: u64| {
        eventually(|| async {
            leases
                .count()
                .await
                .is_ok_and(|count| count.total == expected)
        })
        .await;
    };
    held(2).await;
    // Nobody is known, then one is, and reading the others takes as long as the test wants.
    world
        .run_with(|database| database.statement_timeout_ms = 600_000)
        .await;
    world.beat(beat_of(&other)).await.unwrap();
    let names = [&slow, &other].map(lease_of);
    eventually(|| async {
        leases.remove(&names).await.expect("Redis is there");
        leases.count().await.is_ok_and(|count| count.total == 0)
    })
    .await;
    let mut admin = world.database.admin().await;
    let lock = "begin; lock table agent_registry.agent";
    sqlx::raw_sql(lock).execute(&mut admin).await.unwrap();
    let mut answers = stream_of(&world, [beat_of(&slow), beat_of(&other)]).await;
    // The second one is heard while the first one waits. (A sweep that read the agents before the
    // lock may give both a lease meanwhile.)
    eventually(|| async { leases.count().await.is_ok_and(|count| count.total >= 1) }).await;
    sqlx::raw_sql("rollback").execute(&mut admin).await.unwrap();
    for agent in [&slow, &other] {
        let outcome = answers.next().await.unwrap().unwrap().outcome.unwrap();
        let Outcome::Reply(reply) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(reply.agent_id, id_of(agent));
    }
}

async fn stream_of(
    world: &World,
    beats: [Heartbeat; 2],
) -> tonic::Streaming<StreamHeartbeatsResponse> {
    let messages = beats.map(|heartbeat| StreamHeartbeatsRequest {
        heartbeat: Some(heartbeat),
    });
    let request = world.ask(stream::iter(messages).chain(stream::pending()));
    let answers = world.agents().stream_heartbeats(request).await;
    answers.expect("the stream begins").into_inner()
}

#[tokio::test]
async fn what_was_reported_before_a_restart_is_not_hidden_by_a_change() {
    let mut world = World::start().await;
    let agent = world.active("reporter").await;
    let id = id_of(&agent);
    let full = Heartbeat {
        health_checks: vec![check("disk", 1)],
        ..loaded(&agent, 2)
    };
    world.beat(full).await.unwrap();
    world.stop().await;
    world.run().await;
    world.transition(&id, AgentState::Draining).await.unwrap();
    // One that leaves out what has not changed.
    let reply = world.beat(beat_of(&agent)).await.unwrap();
    assert_eq!(reply.actions().collect::<Vec<_>>(), [AgentAction::Drain]);
    let shown = world.get(&id).await;
    assert_eq!(shown.workload.unwrap().active_task_count, 2);
    assert_eq!(shown.health_checks.len(), 1);
}

/// A check that ran at a time.
pub fn check(name: &str, seconds: i64) -> HealthCheck {
    HealthCheck {
        name: name.to_owned(),
        status: HealthStatus::Healthy.into(),
        message: String::new(),
        check_time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
    }
}
