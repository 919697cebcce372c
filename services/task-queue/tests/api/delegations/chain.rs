//! The whole chain, without circles and not too long.

use reeve_contracts::task::v1::{self as proto, DelegationOutcome, DelegationType, TaskState};

use super::refused::because;
use super::{to_agent, to_anyone};
use crate::harness::*;

#[tokio::test]
async fn the_whole_chain_is_kept_in_its_order_and_visits_nobody_twice() {
    let world = World::start().await;
    let agents: Vec<_> = (0..4).map(|_| world.agent(&["lint"])).collect();
    let created = world.create(spec("lint")).await;
    let mut lease = world.lease_one(agents[0]).await;
    for (at, next) in agents.iter().enumerate().skip(1) {
        lease = world.pass(&lease, *next).await;
        for earlier in &agents[..at] {
            let answer = world.delegate(to_agent(&lease.lease_token, *earlier)).await;
            because(answer, "CYCLE");
        }
    }
    let chosen = |kind| world.delegate(to_anyone(&lease.lease_token, kind));
    because(chosen(DelegationType::Automatic).await, "NO_CANDIDATE");
    because(chosen(DelegationType::LoadBalance).await, "NO_CANDIDATE");
    let chain = world.chain_of(&created.id).await;
    let ids: Vec<_> = agents.iter().map(ToString::to_string).collect();
    for (at, link) in chain.iter().enumerate() {
        assert_eq!(link.from_agent_id, ids[at]);
        assert_eq!(link.to_agent_id, ids[at + 1]);
        let place = i32::try_from(at).expect("small") + 1;
        assert_eq!((link.position, link.attempt), (place, place));
        assert_eq!(link.outcome(), DelegationOutcome::Taken);
    }
    assert_eq!(chain.len(), 3);
    let back = chosen(DelegationType::Failover).await;
    let back = back.expect("better one who had it than nobody");
    assert!(ids[..3].contains(&back.to_agent_id));
    let task = world.get(&created.id).await;
    assert_eq!(task.delegation_count, 4);
    assert_eq!(task.delegation.expect("the last").id, back.id);
}

#[tokio::test]
async fn a_chain_has_eight_links_until_the_task_is_redriven() {
    let world = World::start().await;
    let agents: Vec<_> = (0..10).map(|_| world.agent(&["lint"])).collect();
    let created = world.create(spec("lint")).await;
    let mut lease = world.lease_one(agents[0]).await;
    for next in &agents[1..9] {
        lease = world.pass(&lease, *next).await;
    }
    let answer = world
        .delegate(to_agent(&lease.lease_token, agents[9]))
        .await;
    because(answer, "TOO_DEEP");
    let task = world.get(&created.id).await;
    assert_eq!(
        (task.attempt, task.failure_count, task.lost_lease_count),
        (9, 0, 0)
    );
    let ended = world
        .fail(&lease.lease_token, false)
        .await
        .expect("it fails");
    assert_eq!(ended.state(), TaskState::Failed);
    let retry = proto::RetryTaskRequest {
        task_id: created.id.clone(),
        ..Default::default()
    };
    world
        .tasks()
        .retry_task(world.ask(retry))
        .await
        .expect("it is redriven");
    let lease = world.lease_one(agents[8]).await;
    let lease = world.pass(&lease, agents[0]).await;
    world
        .complete(&lease.lease_token)
        .await
        .expect("it completes");
    let chain = world.chain_of(&created.id).await;
    let places: Vec<_> = chain.iter().map(|link| link.position).collect();
    assert_eq!(places, (1..=9).collect::<Vec<_>>());
    assert_eq!(world.get(&created.id).await.delegation_count, 9);
}
