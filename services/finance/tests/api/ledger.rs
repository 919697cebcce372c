use reeve_contracts::finance::v1::*;

use crate::world::World;

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
    // A check that finds nothing must be able to find something.
    sqlx::query("update ledger_account set balance = balance + 1 where code like 'cogs:%'")
        .execute(&mut sql)
        .await
        .unwrap();
    let answer = world
        .ledger()
        .verify_ledger(world.ask(VerifyLedgerRequest {}))
        .await
        .unwrap();
    let result = answer.into_inner();
    assert!(!result.balanced);
    assert_eq!(result.faults[0].rule, "BALANCE_DIFFERS");
}

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_keep_the_books_at_zero() {
    let world = World::new().await;
    world.price_list().await;
    let mut seed: u64 = 0x5eed_f1a5_c0de_0001;
    let mut next = move |below: u64| {
        // A linear congruential generator: the same history every time.
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let usages: Vec<_> = (0..=next(4))
            .map(|_| Usage {
                provider: "acme".into(),
                model: "m1".into(),
                input_tokens: i64::try_from(next(999_999)).unwrap() + 1,
                output_tokens: i64::try_from(next(9_999)).unwrap(),
                ..Default::default()
            })
            .collect();
        let request = world.ask(ReportUsageRequest {
            usages,
            ..Default::default()
        });
        let mut client = world.usage();
        calls.spawn(async move { client.report_usage(request).await });
    }
    while let Some(answer) = calls.join_next().await {
        answer.unwrap().unwrap();
    }
    let sound = world.assert_sound().await;
    assert!(sound.journal_count >= 60 && sound.sums.iter().all(|sum| sum.amount == "0.00"));
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
