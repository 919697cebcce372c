use reeve_contracts::finance::v1::*;
use reeve_ids::{InvoiceId, ProjectId};
use reeve_status::Code;
use reeve_testkit::eventually;

use crate::invoices::{create, fee, issue, issued};
use crate::world::{World, reserve, usd};

#[tokio::test(flavor = "multi_thread")]
async fn the_database_refuses_unbalanced_and_changed_books() {
    let world = World::new().await;
    world.price_list().await;
    let usage = Usage {
        provider: "acme".into(),
        model: "m1".into(),
        input_tokens: 1_000_000,
        ..Default::default()
    };
    let request = ReportUsageRequest {
        usages: vec![usage],
        ..Default::default()
    };
    world
        .usage()
        .report_usage(world.ask(request))
        .await
        .unwrap();
    let mut sql = world.sql().await;
    for (statement, complaint) in [
        ("update ledger_entry set amount = amount * 2", "append-only"),
        ("delete from ledger_entry", "append-only"),
        ("truncate ledger_entry", "append-only"),
        (
            "update ledger_journal set effect_time = now()",
            "append-only",
        ),
        ("delete from ledger_journal", "append-only"),
        (
            "insert into ledger_entry select journal_id, 7, tenant_id, account_id, currency, 1 \
             from ledger_entry limit 1",
            "does not add up to zero",
        ),
        ("update usage_record set cost = cost + 1", "priced already"),
        ("update usage_record set input_tokens = 0", "evidence"),
    ] {
        let refused = sqlx::query(statement)
            .execute(&mut sql)
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains(complaint), "{statement}: {refused}");
    }
    world.assert_sound().await;
}

/// The rules that VerifyLedger finds broken.
async fn broken(world: &World) -> Vec<(String, String)> {
    let request = world.ask(VerifyLedgerRequest {});
    let answer = world.ledger().verify_ledger(request).await;
    let result = answer.unwrap().into_inner();
    assert_eq!(result.balanced, result.faults.is_empty());
    let faults = result.faults.into_iter();
    faults.map(|fault| (fault.rule, fault.subject)).collect()
}

/// A check that finds nothing must be able to find something: each rule, by what breaks it.
#[tokio::test(flavor = "multi_thread")]
async fn every_rule_of_the_check_finds_what_breaks_it() {
    let world = World::new().await;
    let budget = world.budget("b", "5.00", "").await;
    world.hold("1", &budget.id, "1").await;
    let invoice = issued(&world).await;
    let cancel = CancelInvoiceRequest {
        invoice_id: invoice.id,
        reason: "r".into(),
        ..Default::default()
    };
    world
        .invoices()
        .cancel_invoice(world.ask(cancel))
        .await
        .unwrap();
    assert!(broken(&world).await.is_empty());
    let mut sql = world.sql().await;
    // Past every guard.
    sqlx::query("set session_replication_role = replica")
        .execute(&mut sql)
        .await
        .unwrap();
    for (breaks, mends, rules) in [
        (
            "update ledger_account set balance = balance + 1 where code = 'revenue:services'",
            "update ledger_account set balance = balance - 1 where code = 'revenue:services'",
            &["BALANCE_DIFFERS"][..],
        ),
        (
            "update budget set reserved = 2",
            "update budget set reserved = 1",
            &["RESERVED_DIFFERS"],
        ),
        (
            "update ledger_entry set amount = amount + 1 where line = 1",
            "update ledger_entry set amount = amount - 1 where line = 1",
            &[
                "BALANCE_DIFFERS",
                "CURRENCY_SUM_NOT_ZERO",
                "TRANSACTION_UNBALANCED",
            ],
        ),
        (
            "update ledger_entry set currency = 'EUR' where line = 1 and amount < 0",
            "update ledger_entry set currency = 'USD' where line = 1",
            &[
                "BALANCE_DIFFERS",
                "CURRENCY_SUM_NOT_ZERO",
                "TRANSACTION_UNBALANCED",
            ],
        ),
        (
            // As if cancelling had posted nothing: its invoice is owed by nobody.
            "update ledger_account set balance = 119 where code = 'assets:receivable:C-42'",
            "update ledger_account set balance = 0 where code = 'assets:receivable:C-42'",
            &["BALANCE_DIFFERS", "RECEIVABLE_DIFFERS"],
        ),
        (
            // One client's debt is not another's.
            "update ledger_account set code = 'assets:receivable:C-43' \
             where code = 'assets:receivable:C-42'; \
             update invoice set cancel_time = null, status = 'SENT', client_id = 'C-43'; \
             insert into ledger_account select gen_random_uuid(), tenant_id, \
             'assets:receivable:C-44', currency, kind, 119, now() from ledger_account \
             where code = 'assets:receivable:C-43'",
            "",
            &["BALANCE_DIFFERS", "RECEIVABLE_DIFFERS"],
        ),
    ] {
        sqlx::raw_sql(breaks).execute(&mut sql).await.unwrap();
        let found = broken(&world).await;
        let mut found: Vec<_> = found.iter().map(|(rule, _)| rule.as_str()).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, rules, "{breaks}");
        sqlx::raw_sql(mends).execute(&mut sql).await.unwrap();
    }
    let subjects = broken(&world).await;
    let of = |client: &str| {
        subjects
            .iter()
            .any(|(_, subject)| *subject == format!("USD {client}"))
    };
    assert!(of("C-43") && of("C-44"), "{subjects:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_keep_the_books_at_zero() {
    let world = World::new().await;
    world.price_list().await;
    let project = ProjectId::new().to_string();
    let mut seed: u64 = 0x5eed_f1a5_c0de_0001;
    let mut next = move |below: u64| {
        // A linear congruential generator: the same history every time.
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let budget = world.budget("b", "1000.00", "").await;
    let mut holds: Vec<String> = Vec::new();
    let mut invoices: Vec<String> = Vec::new();
    let mut calls = tokio::task::JoinSet::new();
    for step in 0..120 {
        let some = |of: &[String], at: u64| match of.len() {
            0 => InvoiceId::new().to_string(),
            count => of[usize::try_from(at).unwrap() % count].clone(),
        };
        let (kind, at, cents) = (next(9), next(1_000), next(9_000) + 1);
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        match kind {
            0 | 1 => {
                let usages = (0..=next(4))
                    .map(|_| Usage {
                        provider: "acme".into(),
                        model: "m1".into(),
                        input_tokens: i64::try_from(next(999_999)).unwrap() + 1,
                        output_tokens: i64::try_from(next(9_999)).unwrap(),
                        ..Default::default()
                    })
                    .collect();
                let request = ReportUsageRequest {
                    usages,
                    project_id: project.clone(),
                    budget_id: if at % 2 == 0 {
                        budget.id.clone()
                    } else {
                        String::new()
                    },
                    ..Default::default()
                };
                let (mut client, request) = (world.usage(), world.ask(request));
                calls.spawn(async move { client.report_usage(request).await.map(drop) });
            }
            2 => {
                let request = world.ask(reserve(&step.to_string(), &budget.id, &amount));
                if let Ok(answer) = world.budgets().reserve_budget(request).await {
                    holds.push(answer.into_inner().hold.unwrap().id);
                }
            }
            3 => {
                let (mut client, request) = (
                    world.budgets(),
                    world.ask(CommitHoldRequest {
                        hold_id: some(&holds, at),
                        actual: Some(usd(&amount)),
                        ..Default::default()
                    }),
                );
                calls.spawn(async move { client.commit_hold(request).await.map(drop) });
            }
            4 => {
                let (mut client, request) = (
                    world.budgets(),
                    world.ask(ReleaseHoldRequest {
                        hold_id: some(&holds, at),
                        ..Default::default()
                    }),
                );
                calls.spawn(async move { client.release_hold(request).await.map(drop) });
            }
            5 => {
                let mut request = create(&world, &project);
                request.custom_line_items = vec![fee(&amount)];
                if let Ok(answer) = world.invoices().create_invoice(world.ask(request)).await {
                    let id = answer.into_inner().invoice.unwrap().id;
                    if at % 4 != 0 {
                        issue(&world, &id).await;
                    }
                    invoices.push(id);
                }
            }
            6 | 7 => {
                let method = if at % 2 == 0 {
                    PaymentMethod::Cash
                } else {
                    PaymentMethod::Stripe
                };
                let (mut client, request) = (
                    world.payments(),
                    world.ask(RecordPaymentRequest {
                        request_id: step.to_string(),
                        invoice_id: some(&invoices, at),
                        amount: Some(usd(&amount)),
                        method: method.into(),
                        ..Default::default()
                    }),
                );
                calls.spawn(async move { client.record_payment(request).await.map(drop) });
            }
            _ => {
                let (mut client, request) = (
                    world.invoices(),
                    world.ask(CancelInvoiceRequest {
                        invoice_id: some(&invoices, at),
                        reason: "r".into(),
                        ..Default::default()
                    }),
                );
                calls.spawn(async move { client.cancel_invoice(request).await.map(drop) });
                world.clock.advance(chrono::TimeDelta::minutes(20));
            }
        }
    }
    let mut done = 0;
    while let Some(answer) = calls.join_next().await {
        match answer.unwrap() {
            Ok(()) => done += 1,
            Err(status) => {
                let fault = reeve_status::Fault::from(&status);
                assert_ne!(fault.code(), Code::Internal, "{fault}");
            }
        }
    }
    assert!(done > 10, "{done}: a history happens");
    // Every page is read in one state of the books: holds that are left end first.
    world.clock.advance(chrono::TimeDelta::hours(2));
    eventually(|| async {
        let now = world.budget_now(&budget.id).await;
        now.reserved.unwrap().amount == "0.00"
    })
    .await;
    let sound = world.assert_sound().await;
    assert!(sound.journal_count >= 20 && sound.sums.iter().all(|sum| sum.amount == "0.00"));
    let mut token = String::new();
    let mut seen = 0;
    loop {
        let request = ListEntriesRequest {
            page_size: 50,
            page_token: token,
            ..Default::default()
        };
        let page = world
            .ledger()
            .list_entries(world.ask(request))
            .await
            .unwrap()
            .into_inner();
        seen += page.entries.len();
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(
        i64::try_from(seen).unwrap(),
        sound.entry_count,
        "pages leave nothing out"
    );
}
