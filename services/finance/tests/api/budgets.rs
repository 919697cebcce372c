use chrono::TimeDelta;
use reeve_contracts::finance::v1::*;
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;

use crate::world::{World, absent_budget, fact, fault, fields, money, reserve, usd};

fn amount(money: &Option<reeve_contracts::r#type::v1::Money>) -> &str {
    &money.as_ref().unwrap().amount
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_reservations_never_exceeds_any_scope() {
    let world = World::new().await;
    let outer = world.budget("outer", "10.00", "").await;
    let left = world.budget("left", "100.00", &outer.id).await;
    let right = world.budget("right", "4.00", &outer.id).await;
    let mut calls = tokio::task::JoinSet::new();
    for at in 0..400 {
        let mut client = world.budgets();
        let scope = if at % 2 == 0 { &left } else { &right };
        let (key, message) = (
            world.key.clone(),
            reserve(&format!("storm/{at}"), &scope.id, "0.05"),
        );
        // As a client would: what was certainly not done is asked again, with the same id.
        calls.spawn(async move {
            loop {
                let request = reeve_testkit::authorize(&key, message.clone());
                match client.reserve_budget(request).await {
                    Err(status) if status.code() == tonic::Code::Unavailable => {}
                    answer => return answer,
                }
            }
        });
    }
    let mut held = Vec::new();
    while let Some(answer) = calls.join_next().await {
        match answer.unwrap() {
            Ok(answer) => held.push(answer.into_inner().hold.unwrap()),
            Err(status) => {
                let fault = reeve_status::Fault::from(&status);
                assert_eq!(fault.reason(), Reason::BudgetExhausted, "{fault}");
            }
        }
    }
    assert_eq!(
        held.len(),
        200,
        "exactly as many as the outer budget allows"
    );
    assert_eq!(amount(&world.budget_now(&outer.id).await.reserved), "10.00");
    let right_now = world.budget_now(&right.id).await;
    assert!(amount(&right_now.reserved).parse::<f64>().unwrap() <= 4.0);
    world.assert_sound().await;

    for (at, hold) in held.iter().enumerate() {
        if at % 2 == 0 {
            let request = ReleaseHoldRequest {
                hold_id: hold.id.clone(),
                ..Default::default()
            };
            world
                .budgets()
                .release_hold(world.ask(request))
                .await
                .unwrap();
        } else {
            let request = CommitHoldRequest {
                hold_id: hold.id.clone(),
                actual: Some(usd("0.0123456789")),
                ..Default::default()
            };
            world
                .budgets()
                .commit_hold(world.ask(request))
                .await
                .unwrap();
        }
    }
    let after = world.budget_now(&outer.id).await;
    assert_eq!(amount(&after.reserved), "0.00");
    assert_eq!(amount(&after.spent), "1.23456789");
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_budget_and_its_figures() {
    let world = World::new().await;
    let outer = world.budget("company", "5.00", "").await;
    let inner = world.budget("team", "50.00", &outer.id).await;
    world.hold("1", &inner.id, "3").await;
    for at in 0..3 {
        let request = world.ask(reserve(&format!("again/{at}"), &inner.id, "2.01"));
        let refused = fault(world.budgets().reserve_budget(request).await);
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(refused.reason(), Reason::BudgetExhausted);
        let says = |key: &str| refused.metadata()[key].as_str();
        assert_eq!(says("budget_id"), outer.id);
        assert_eq!((says("limit"), says("spent")), ("5.00", "0.00"));
        assert_eq!((says("reserved"), says("asked")), ("3.00", "2.01"));
        assert_eq!(refused.quotas()[0].subject, format!("budget/{}", outer.id));
    }
    assert_eq!(
        world.events("budget.exhausted").await,
        1,
        "raised once a minute at most"
    );
    assert!(world.budget_now(&outer.id).await.exhaust_time.is_some());
    world.hold("2", &inner.id, "2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_is_the_same_hold_and_another_body_is_refused() {
    let world = World::new().await;
    let budget = world.budget("b", "5.00", "").await;
    let first = world.hold("task/1", &budget.id, "2").await;
    let second = world.hold("task/1", &budget.id, "2").await;
    assert_eq!(first, second);
    assert_eq!(amount(&world.budget_now(&budget.id).await.reserved), "2.00");
    let other = world.ask(reserve("task/1", &budget.id, "3"));
    let refused = fault(world.budgets().reserve_budget(other).await);
    assert_eq!(refused.reason(), Reason::RequestIdReused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_answers_with_the_hold_as_it_is_by_then() {
    let world = World::new().await;
    let budget = world.budget("b", "5.00", "").await;
    let reserved = || async { world.budget_now(&budget.id).await.reserved.unwrap().amount };
    let hold = world.hold("task/1", &budget.id, "2").await;
    let release = |request_id: &str| ReleaseHoldRequest {
        request_id: request_id.into(),
        hold_id: hold.id.clone(),
    };
    for _ in 0..2 {
        let answer = world.budgets().release_hold(world.ask(release("r"))).await;
        let released = answer.unwrap().into_inner().hold.unwrap();
        assert_eq!(released.state(), HoldState::Released);
    }
    let again = world.hold("task/1", &budget.id, "2").await;
    assert_eq!(
        (again.id, again.state),
        (hold.id.clone(), HoldState::Released.into())
    );
    assert_eq!(reserved().await, "0.00", "nothing is set aside anew");
    let other = world.hold("task/1 anew", &budget.id, "2").await;
    assert_eq!(other.state(), HoldState::Held);
    assert_eq!(reserved().await, "2.00");
    assert_eq!(world.events("hold.reserved").await, 2);
    let released = world.told("hold.released").await;
    assert_eq!(released.len(), 1);
    assert_eq!(released[0].resource_id, hold.id);
    let actor = released[0].actor.as_ref().unwrap();
    assert!(
        actor.subject.starts_with("key:"),
        "whoever gave it back is named"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_repeated_by_its_request_id() {
    let world = World::new().await;
    let budget = world.budget("b", "5.00", "").await;
    let hold = world.hold("1", &budget.id, "2").await;
    let commit = |actual: &str| CommitHoldRequest {
        request_id: "c".into(),
        hold_id: hold.id.clone(),
        actual: Some(usd(actual)),
    };
    for _ in 0..2 {
        let answer = world.budgets().commit_hold(world.ask(commit("1"))).await;
        assert_eq!(
            amount(&answer.unwrap().into_inner().hold.unwrap().actual),
            "1.00"
        );
    }
    assert_eq!(amount(&world.budget_now(&budget.id).await.spent), "1.00");
    assert_eq!(world.events("hold.committed").await, 1);
    let other = fault(world.budgets().commit_hold(world.ask(commit("2"))).await);
    assert_eq!(other.reason(), Reason::RequestIdReused);
    let absurd = CommitHoldRequest {
        actual: Some(usd("1000000000000.0000000001")),
        ..commit("1")
    };
    let refused = fault(world.budgets().commit_hold(world.ask(absurd)).await);
    assert_eq!(fields(&refused), ["actual.amount"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_and_the_expiry_of_a_hold_at_once() {
    let world = World::new().await;
    let budget = world.budget("b", "500.00", "").await;
    let mut holds = Vec::new();
    for at in 0..20 {
        holds.push(world.hold(&at.to_string(), &budget.id, "5").await);
    }
    world.clock.advance(TimeDelta::minutes(61));
    let commits = holds.iter().map(|hold| {
        let mut client = world.budgets();
        let request = world.ask(CommitHoldRequest {
            hold_id: hold.id.clone(),
            actual: Some(usd("4")),
            ..Default::default()
        });
        async move { client.commit_hold(request).await }
    });
    let mut calls: tokio::task::JoinSet<_> = commits.collect();
    while let Some(answer) = calls.join_next().await {
        answer.unwrap().unwrap();
    }
    let now = world.budget_now(&budget.id).await;
    assert_eq!(
        (amount(&now.spent), amount(&now.reserved)),
        ("80.00", "0.00")
    );
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_ends_once() {
    let world = World::new().await;
    let budget = world.budget("b", "5.00", "").await;
    let hold = world.hold("1", &budget.id, "2").await;
    let commit = |actual: &str| CommitHoldRequest {
        hold_id: hold.id.clone(),
        actual: Some(usd(actual)),
        ..Default::default()
    };
    let ended = world
        .budgets()
        .commit_hold(world.ask(commit("2.5")))
        .await
        .unwrap()
        .into_inner();
    assert!(ended.hold.unwrap().overrun, "more was spent than held");
    world
        .budgets()
        .commit_hold(world.ask(commit("2.5")))
        .await
        .unwrap();
    assert_eq!(amount(&world.budget_now(&budget.id).await.spent), "2.50");
    let refused = fault(world.budgets().commit_hold(world.ask(commit("1"))).await);
    assert_eq!(refused.reason(), Reason::HoldClosed);
    let release = ReleaseHoldRequest {
        hold_id: hold.id.clone(),
        ..Default::default()
    };
    let refused = fault(world.budgets().release_hold(world.ask(release)).await);
    assert_eq!(refused.reason(), Reason::HoldClosed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_ends_expires_and_takes_a_late_commit() {
    let world = World::new().await;
    let budget = world.budget("b", "5.00", "").await;
    let hold = world.hold("1", &budget.id, "5").await;
    world.clock.advance(TimeDelta::minutes(61));
    eventually(|| async { amount(&world.budget_now(&budget.id).await.reserved) == "0.00" }).await;
    let request = ListHoldsRequest {
        budget_id: budget.id.clone(),
        ..Default::default()
    };
    let holds = world
        .budgets()
        .list_holds(world.ask(request))
        .await
        .unwrap()
        .into_inner()
        .holds;
    assert_eq!(holds[0].state(), HoldState::Expired);
    let expired = world.told("hold.expired").await;
    assert_eq!(expired.len(), 1, "whoever relies on it hears of it");
    assert_eq!(expired[0].resource_id, hold.id);
    assert_eq!(fact(&expired[0], "state"), "EXPIRED");
    let late = CommitHoldRequest {
        hold_id: hold.id.clone(),
        actual: Some(usd("4")),
        ..Default::default()
    };
    world.budgets().commit_hold(world.ask(late)).await.unwrap();
    assert_eq!(amount(&world.budget_now(&budget.id).await.spent), "4.00");
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_reported_all_at_once() {
    let world = World::new().await;
    let request = CreateBudgetRequest {
        name: String::new(),
        parent_id: "x".into(),
        scope: 99,
        limit: Some(money("1.001", "USD")),
        ..Default::default()
    };
    let refused = fault(world.budgets().create_budget(world.ask(request)).await);
    assert_eq!(
        fields(&refused),
        ["name", "parent_id", "scope", "limit.amount"]
    );
    let request = ReserveBudgetRequest {
        amount: Some(money("1e3", "XAU")),
        attempt: 2,
        hold_duration: Some(prost_types::Duration {
            seconds: -1,
            nanos: 0,
        }),
        ..Default::default()
    };
    let refused = fault(world.budgets().reserve_budget(world.ask(request)).await);
    assert_eq!(
        fields(&refused),
        [
            "request_id",
            "budget_id",
            "amount.currency_code",
            "amount.amount",
            "attempt",
            "hold_duration",
        ]
    );
    let refused = fault(
        world
            .budgets()
            .reserve_budget(world.ask(reserve("1", &absent_budget(), "1")))
            .await,
    );
    assert_eq!(refused.code(), Code::NotFound);
    let budget = world.budget("b", "5.00", "").await;
    let euro = ReserveBudgetRequest {
        amount: Some(money("1", "EUR")),
        ..reserve("2", &budget.id, "1")
    };
    let refused = fault(world.budgets().reserve_budget(world.ask(euro)).await);
    assert_eq!(refused.reason(), Reason::CurrencyMismatch);
    let again = CreateBudgetRequest {
        name: "b".into(),
        scope: BudgetScope::Team.into(),
        limit: Some(usd("1")),
        ..Default::default()
    };
    let refused = fault(world.budgets().create_budget(world.ask(again)).await);
    assert_eq!(refused.code(), Code::AlreadyExists);
}
