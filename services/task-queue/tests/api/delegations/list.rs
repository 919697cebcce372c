//! ListDelegations.

use reeve_contracts::task::v1::{self as proto, DelegationOutcome, DelegationType};
use reeve_ids::TaskId;
use reeve_status::{Code, Reason};

use super::{to_agent, to_anyone};
use crate::harness::*;

async fn ids(world: &World, filter: proto::DelegationFilter) -> Vec<String> {
    let mut request = proto::ListDelegationsRequest {
        filter: Some(filter),
        page_size: 2,
        ..Default::default()
    };
    let mut ids = Vec::new();
    loop {
        let page = world.delegations(request.clone()).await.expect("a page");
        assert!(page.delegations.len() <= 2);
        ids.extend(page.delegations.into_iter().map(|one| one.id));
        if page.next_page_token.is_empty() {
            return ids;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn delegations_are_listed_page_by_page_and_filtered() {
    let world = World::start().await;
    let agents: Vec<_> = (0..4).map(|_| world.agent(&["lint"])).collect();
    let mut made = Vec::new();
    let mut tasks = Vec::new();
    for _ in 0..2 {
        tasks.push(world.create(spec("lint")).await.id);
        let mut lease = world.lease_one(agents[0]).await;
        for next in &agents[1..3] {
            let request = to_agent(&lease.lease_token, *next);
            made.push(world.delegate(request).await.expect("it is handed on"));
            lease = world.lease_one(*next).await;
        }
        let request = to_anyone(&lease.lease_token, DelegationType::LoadBalance);
        made.push(world.delegate(request).await.expect("it is handed on"));
    }
    let of = |wanted: fn(usize) -> bool| -> Vec<String> {
        let chosen = made.iter().enumerate().filter(|(at, _)| wanted(*at));
        chosen.map(|(_, one)| one.id.clone()).collect()
    };
    let newest_first = |mut ids: Vec<String>| {
        ids.reverse();
        ids
    };
    let any = proto::DelegationFilter::default;
    assert_eq!(ids(&world, any()).await, newest_first(of(|_| true)));
    let chain = proto::DelegationFilter {
        task_id: tasks[1].clone(),
        ..any()
    };
    assert_eq!(
        ids(&world, chain.clone()).await,
        of(|at| at >= 3),
        "oldest first"
    );
    let part = proto::DelegationFilter {
        from_agent_id: agents[1].to_string(),
        ..chain
    };
    assert_eq!(ids(&world, part).await, of(|at| at == 4));
    let from = proto::DelegationFilter {
        from_agent_id: agents[0].to_string(),
        ..any()
    };
    assert_eq!(ids(&world, from).await, newest_first(of(|at| at % 3 == 0)));
    let to = proto::DelegationFilter {
        to_agent_id: agents[2].to_string(),
        ..any()
    };
    assert_eq!(ids(&world, to).await, newest_first(of(|at| at % 3 == 1)));
    let kind = proto::DelegationFilter {
        types: vec![DelegationType::LoadBalance.into()],
        ..any()
    };
    assert_eq!(ids(&world, kind).await, newest_first(of(|at| at % 3 == 2)));
    let open = proto::DelegationFilter {
        outcomes: vec![DelegationOutcome::Offered.into()],
        ..any()
    };
    assert_eq!(ids(&world, open).await, newest_first(of(|at| at % 3 == 2)));
    let late = proto::DelegationFilter {
        delegate_time_from: made[3].delegate_time,
        ..any()
    };
    assert_eq!(ids(&world, late).await, newest_first(of(|at| at >= 3)));
    let early = proto::DelegationFilter {
        delegate_time_before: made[3].delegate_time,
        ..any()
    };
    assert_eq!(ids(&world, early).await, newest_first(of(|at| at < 3)));
}

#[tokio::test]
async fn a_page_token_is_bound_to_its_filter_and_a_task_must_exist() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    for _ in 0..2 {
        world.create(spec("lint")).await;
        let lease = world.lease_one(first).await;
        world.pass(&lease, second).await;
    }
    let request = proto::ListDelegationsRequest {
        page_size: 1,
        ..Default::default()
    };
    let page = world.delegations(request).await.expect("a page");
    let filter = proto::DelegationFilter {
        from_agent_id: first.to_string(),
        ..Default::default()
    };
    let other = proto::ListDelegationsRequest {
        filter: Some(filter),
        page_token: page.next_page_token,
        ..Default::default()
    };
    let answer = world.delegations(other).await;
    refused(answer, Code::InvalidArgument, Reason::PageTokenInvalid);
    let filter = proto::DelegationFilter {
        task_id: TaskId::new().to_string(),
        ..Default::default()
    };
    let absent = proto::ListDelegationsRequest {
        filter: Some(filter),
        ..Default::default()
    };
    let answer = world.delegations(absent).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
}
