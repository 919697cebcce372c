use reeve_contracts::finance::v1::*;
use reeve_ids::{ProjectId, TaskId};
use reeve_status::{Code, Reason};

use crate::world::{World, fault, fields, price_list, unit};

fn usage(input: i64, output: i64) -> Usage {
    Usage {
        provider: "acme".into(),
        model: "m1".into(),
        input_tokens: input,
        output_tokens: output,
        ..Default::default()
    }
}

fn report(usages: Vec<Usage>) -> ReportUsageRequest {
    ReportUsageRequest {
        usages,
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_priced_exactly_and_posted() {
    let world = World::new().await;
    let card = world.price_list().await;
    let project = ProjectId::new().to_string();
    let mut line = usage(1_234_567, 89);
    line.duration = Some(prost_types::Duration {
        seconds: 2,
        nanos: 500_000_000,
    });
    let request = ReportUsageRequest {
        request_id: "r1".into(),
        project_id: project.clone(),
        ..report(vec![line, usage(1, 0)])
    };
    let answer = world
        .usage()
        .report_usage(world.ask(request.clone()))
        .await
        .unwrap()
        .into_inner();
    // 3.703701 + 0.001335 + 0.025, and 0.000003.
    assert_eq!(answer.cost.as_ref().unwrap().amount, "3.730039");
    assert_eq!(answer.records[0].rate_card_id, card.id);
    let meters: Vec<_> = answer.records[0]
        .charges
        .iter()
        .map(|c| c.meter.as_str())
        .collect();
    assert_eq!(meters, ["input_tokens", "output_tokens", "agent_seconds"]);

    let again = world
        .usage()
        .report_usage(world.ask(request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again, answer, "a repetition charges nothing");
    let sound = world.assert_sound().await;
    assert_eq!(sound.journal_count, 2);
    let request = ListAccountsRequest {
        code_prefix: "cogs:".into(),
        ..Default::default()
    };
    let accounts = world
        .ledger()
        .list_accounts(world.ask(request))
        .await
        .unwrap()
        .into_inner();
    let balances: Vec<_> = accounts
        .accounts
        .iter()
        .map(|one| {
            (
                one.code.as_str(),
                one.balance.as_ref().unwrap().amount.as_str(),
            )
        })
        .collect();
    assert_eq!(
        balances,
        [
            ("cogs:compute:agent_seconds", "0.025"),
            ("cogs:llm:acme:m1", "3.705039")
        ]
    );
    assert_eq!(world.events("usage.recorded").await, 1);

    let request = GetCostSummaryRequest {
        dimension: CostDimension::Project.into(),
        ..Default::default()
    };
    let summary = world
        .usage()
        .get_cost_summary(world.ask(request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(summary.rows.len(), 1);
    assert_eq!(
        (summary.rows[0].key.as_str(), summary.rows[0].record_count),
        (project.as_str(), 2)
    );
    assert_eq!(summary.totals[0].amount, "3.730039");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_model_is_refused_and_never_free() {
    let world = World::new().await;
    world.price_list().await;
    let mut line = usage(1, 1);
    line.model = "m2".into();
    let refused = fault(
        world
            .usage()
            .report_usage(world.ask(report(vec![usage(1, 1), line])))
            .await,
    );
    assert_eq!(
        (refused.code(), refused.reason()),
        (Code::FailedPrecondition, Reason::PriceMissing)
    );
    assert!(
        refused.metadata()["missing"].contains("acme/m2 input_tokens"),
        "{refused}"
    );
    let request = ListUsageRequest::default();
    let listed = world
        .usage()
        .list_usage(world.ask(request))
        .await
        .unwrap()
        .into_inner();
    assert!(
        listed.records.is_empty(),
        "nothing of a refused report is kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_never_change_what_was_priced() {
    let world = World::new().await;
    let first = world.price_list().await;
    let ask = || report(vec![usage(1_000_000, 0)]);
    let before = world
        .usage()
        .report_usage(world.ask(ask()))
        .await
        .unwrap()
        .into_inner();
    world.clock.advance(chrono::TimeDelta::seconds(1));
    let mut dearer = price_list("list", "acme", "m1");
    dearer.model_prices[0].input = unit("4", 1_000_000);
    dearer.valid_from_time = None;
    let answer = world
        .rate_cards()
        .create_rate_card(world.ask(dearer))
        .await
        .unwrap();
    let second = answer.into_inner().rate_card.unwrap();
    assert_eq!((first.version, second.version), (1, 2));
    let after = world
        .usage()
        .report_usage(world.ask(ask()))
        .await
        .unwrap()
        .into_inner();
    let cost = |answer: &ReportUsageResponse| answer.cost.as_ref().unwrap().amount.clone();
    assert_eq!(
        (cost(&before).as_str(), cost(&after).as_str()),
        ("3.00", "4.00")
    );
    let request = ListRateCardsRequest {
        page_size: 1,
        ..Default::default()
    };
    let page = world
        .rate_cards()
        .list_rate_cards(world.ask(request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(page.rate_cards, [second]);
    let request = ListRateCardsRequest {
        page_size: 1,
        page_token: page.next_page_token,
        ..Default::default()
    };
    let page = world
        .rate_cards()
        .list_rate_cards(world.ask(request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (page.rate_cards, page.next_page_token.as_str()),
        (vec![first], "")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_reported_all_at_once() {
    let world = World::new().await;
    let request = CreateRateCardRequest {
        currency_code: "HRK".into(),
        model_prices: vec![ModelPrice {
            provider: "p".into(),
            input: unit("-1", 1),
            cached_input: unit("1e3", -1),
            ..Default::default()
        }],
        resource_prices: vec![ResourcePrice {
            resource: "input_tokens".into(),
            unit_price: unit("1", 1),
        }],
        ..Default::default()
    };
    let refused = fault(
        world
            .rate_cards()
            .create_rate_card(world.ask(request))
            .await,
    );
    assert_eq!(
        fields(&refused),
        [
            "name",
            "currency_code",
            "model_prices[0].model",
            "model_prices[0].input.amount",
            "model_prices[0].output",
            "model_prices[0].cached_input.amount",
            "model_prices[0].cached_input.per_units",
            "resource_prices[0].resource",
        ]
    );
    let request = ReportUsageRequest {
        task_id: TaskId::new().to_string(),
        agent_id: "?".into(),
        usages: vec![Usage {
            input_tokens: -1,
            output_tokens: 1,
            ..Default::default()
        }],
        ..Default::default()
    };
    let refused = fault(world.usage().report_usage(world.ask(request)).await);
    assert_eq!(
        fields(&refused),
        [
            "attempt",
            "agent_id",
            "usages[0].input_tokens",
            "usages[0].provider",
            "usages[0].model"
        ]
    );
    let request = GetCostSummaryRequest::default();
    let refused = fault(world.usage().get_cost_summary(world.ask(request)).await);
    assert_eq!(fields(&refused), ["dimension"]);
}
