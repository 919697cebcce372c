use reeve_contracts::finance::v1::*;
use reeve_ids::{ProjectId, TaskId};
use reeve_status::{Code, Reason};

use crate::world::{World, fact, fault, fields, price_list, unit};

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
async fn a_report_has_one_currency() {
    let world = World::new().await;
    let mut euros = price_list("euros", "acme", "m1");
    euros.currency_code = "EUR".into();
    for list in [euros, price_list("dollars", "acme", "m2")] {
        let stored = world.rate_cards().create_rate_card(world.ask(list)).await;
        stored.unwrap();
    }
    let mut other = usage(1_000_000, 0);
    other.model = "m2".into();
    let both = || report(vec![usage(1_000_000, 0), other.clone()]);
    let refused = fault(world.usage().report_usage(world.ask(both())).await);
    assert_eq!(refused.reason(), Reason::PriceMissing);
    let dollars = world.price_list().await;
    let answer = world.usage().report_usage(world.ask(both())).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!(answer.records[0].rate_card_id, dollars.id);
    assert_eq!(answer.cost, Some(crate::world::usd("6.00")));
    let told = &world.told("usage.recorded").await[0];
    assert_eq!(
        (fact(told, "cost"), fact(told, "currency_code")),
        ("6.00".into(), "USD".into())
    );

    let budget = world.budget("b", "5.00", "").await;
    let mut request = both();
    request.usages[0].model = "m3".into();
    request.usages[1].model = "m4".into();
    let refused = fault(world.usage().report_usage(world.ask(request)).await);
    let missing = &refused.metadata()["missing"];
    assert_eq!(
        missing, "acme/m3 input_tokens, acme/m4 input_tokens",
        "of every line"
    );
    let mut euros = price_list("more euros", "acme", "m3");
    euros.currency_code = "EUR".into();
    world
        .rate_cards()
        .create_rate_card(world.ask(euros))
        .await
        .unwrap();
    let mut request = report(vec![usage(1_000_000, 0)]);
    request.usages[0].model = "m3".into();
    request.budget_id = budget.id;
    let refused = fault(world.usage().report_usage(world.ask(request)).await);
    assert_eq!(refused.reason(), Reason::CurrencyMismatch);
    assert_eq!(refused.metadata()["found"], "EUR");
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_have_pages_and_no_end() {
    let world = World::new().await;
    world.price_list().await;
    for tokens in [1, 2, 3, 3] {
        let request = ReportUsageRequest {
            project_id: ProjectId::new().to_string(),
            ..report(vec![usage(tokens, 0)])
        };
        world
            .usage()
            .report_usage(world.ask(request))
            .await
            .unwrap();
    }
    let data = serde_json::json!({"attempt": 1, "project_id": ProjectId::new().to_string(),
        "usage": [{"provider": "acme", "model": "unknown", "output_tokens": 5}]});
    for _ in 0..2 {
        let task = TaskId::new().to_string();
        world.task_event("task.failed", &task, data.clone()).await;
    }
    let unpriced = "select count(*) from usage_record where status = 'UNPRICED'";
    reeve_testkit::eventually(|| async { world.count(unpriced).await == 2 }).await;
    // More tokens than any number in the answer holds, as nobody reports them.
    let statement = "set session_replication_role = replica; \
        update usage_record set input_tokens = 9000000000000000000, \
        busy_micros = 9000000000000000000 where cost > 0.000008";
    let mut sql = world.sql().await;
    sqlx::raw_sql(statement).execute(&mut sql).await.unwrap();
    let mut token = String::new();
    let mut rows = Vec::new();
    loop {
        let request = GetCostSummaryRequest {
            dimension: CostDimension::Project.into(),
            page_size: 2,
            page_token: token,
            ..Default::default()
        };
        let page = world.usage().get_cost_summary(world.ask(request)).await;
        let page = page.unwrap().into_inner();
        assert_eq!((page.totals.len(), page.unpriced_count), (1, 2));
        rows.extend(page.rows);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let costs: Vec<_> = rows
        .iter()
        .map(|row| row.cost.as_ref().map_or("", |cost| &cost.amount))
        .collect();
    assert_eq!(costs, ["0.000009", "0.000009", "0.000006", "0.000003", ""]);
    assert!(rows[0].key < rows[1].key);
    assert_eq!(rows[4].unpriced_count, 2);
    let request = GetCostSummaryRequest {
        dimension: CostDimension::Outcome.into(),
        ..Default::default()
    };
    let answer = world.usage().get_cost_summary(world.ask(request)).await;
    let all = &answer.unwrap().into_inner().rows[0];
    assert_eq!(all.input_tokens, i64::MAX);
    assert_eq!(all.busy_duration.as_ref().unwrap().seconds, 315_576_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_too_great_to_be_true_are_refused() {
    let world = World::new().await;
    let mut list = price_list("list", "acme", "m1");
    list.model_prices[0].input = unit("1000000000000.01", 1);
    list.valid_to_time = list.valid_from_time;
    let refused = fault(world.rate_cards().create_rate_card(world.ask(list)).await);
    assert_eq!(
        fields(&refused),
        ["model_prices[0].input.amount", "valid_to_time"]
    );
    let mut list = price_list("list", "acme", "m1");
    list.model_prices[0].input = unit("1000000000000", 1);
    world
        .rate_cards()
        .create_rate_card(world.ask(list))
        .await
        .unwrap();
    let mut line = usage(1_000_000_000_001, i64::MAX);
    line.quantities.push(Quantity {
        resource: "other".into(),
        amount: "1000000000001".into(),
    });
    let refused = fault(
        world
            .usage()
            .report_usage(world.ask(report(vec![line])))
            .await,
    );
    assert_eq!(
        fields(&refused),
        [
            "usages[0].input_tokens",
            "usages[0].output_tokens",
            "usages[0].quantities[0].amount"
        ]
    );
    let dear = world.ask(report(vec![usage(2, 0)]));
    let refused = fault(world.usage().report_usage(dear).await);
    assert_eq!(fields(&refused), ["usages"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_end_before_they_outgrow_a_message() {
    let world = World::new().await;
    let priced = |at: usize| {
        let mut price = price_list("", &"p".repeat(100), "").model_prices.remove(0);
        price.model = format!("{at:0>200}");
        price
    };
    let list = CreateRateCardRequest {
        model_prices: (0..500).map(priced).collect(),
        ..price_list("large", "", "")
    };
    for _ in 0..25 {
        let stored = world
            .rate_cards()
            .create_rate_card(world.ask(list.clone()))
            .await;
        stored.unwrap();
    }
    let mut token = String::new();
    let (mut seen, mut pages) = (0, 0);
    loop {
        let request = ListRateCardsRequest {
            page_token: token,
            ..Default::default()
        };
        let page = world.rate_cards().list_rate_cards(world.ask(request)).await;
        let page = page.unwrap().into_inner();
        seen += page.rate_cards.len();
        pages += 1;
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert!(seen == 25 && pages > 1, "{seen} cards on {pages} pages");
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
