//! The database's own guards, by SQL past all code of ours.

use reeve_ids::Uuid;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::world::World;

const INVOICE: [&str; 8] = [
    "DRAFT",
    "SENT",
    "VIEWED",
    "PARTIALLY_PAID",
    "PAID",
    "OVERDUE",
    "CANCELLED",
    "REFUNDED",
];
/// From by row, to by column, in the order above.
const INVOICE_LEGAL: [&str; 8] = [
    ".x..x.x.", "..xxxxx.", "...xxxx.", ".xx.xx.x", ".xxx.x.x", ".xxxx.xx", "........", "........",
];
const PAYMENT: [&str; 7] = [
    "PENDING",
    "PROCESSING",
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "REFUNDED",
    "DISPUTED",
];
const PAYMENT_LEGAL: [&str; 7] = [
    ".xxxx..", "..xxx..", ".....xx", "..x....", ".......", ".......", "..x..x.",
];

async fn run(sql: &mut PgConnection, statement: String) -> Result<u64, String> {
    let done = sqlx::query(AssertSqlSafe(statement)).execute(sql).await;
    done.map(|done| done.rows_affected())
        .map_err(|error| error.to_string())
}

/// Facts that fit a status, so that nothing but the edge can be wrong.
fn facts(status: &str) -> &'static str {
    match status {
        "DRAFT" => {
            "issue_time = null, due_time = null, number = null, number_text = null, \
                    fiscal_year = null, paid_minor = 0"
        }
        "CANCELLED" => "cancel_time = now(), paid_minor = 0",
        "SENT" | "OVERDUE" => "ISSUED, paid_minor = 0",
        "VIEWED" => "ISSUED, paid_minor = 0, view_time = coalesce(view_time, now())",
        "PARTIALLY_PAID" => "ISSUED, paid_minor = 400",
        "PAID" => "ISSUED, paid_minor = 1000",
        "REFUNDED" => "ISSUED, paid_minor = 0, refunded_minor = 1000",
        other => panic!("{other}"),
    }
}

async fn move_invoice(
    sql: &mut PgConnection,
    id: Uuid,
    to: &str,
    place: usize,
) -> Result<u64, String> {
    let issued = format!(
        "issue_time = coalesce(issue_time, now()), due_time = coalesce(due_time, now()), \
         fiscal_year = 2026, number = coalesce(number, {place}), \
         number_text = coalesce(number_text, 'N{place}')"
    );
    let facts = facts(to).replace("ISSUED", &issued);
    let update = format!(
        "update invoice set status = '{to}', version = version + 1, {facts} where id = '{id}'"
    );
    run(sql, update).await
}

fn way(to: &str) -> &'static [&'static str] {
    match to {
        "DRAFT" => &[],
        "SENT" => &["SENT"],
        "VIEWED" => &["SENT", "VIEWED"],
        "PARTIALLY_PAID" => &["SENT", "PARTIALLY_PAID"],
        "PAID" => &["SENT", "PAID"],
        "OVERDUE" => &["SENT", "OVERDUE"],
        "CANCELLED" => &["CANCELLED"],
        "REFUNDED" => &["SENT", "PAID", "REFUNDED"],
        other => panic!("{other}"),
    }
}

async fn new_invoice(sql: &mut PgConnection) -> Uuid {
    let id = Uuid::now_v7();
    let insert = format!(
        "insert into invoice (id, tenant_id, version, project_id, series, status, currency, \
         client_id, document, custom_fields, period_end, net_days, net_minor, tax_minor, \
         total_minor, create_time) values ('{id}', '{id}', 1, '{id}', 'INV', 'DRAFT', 'EUR', 'c', \
         '{{}}', '{{}}', now(), 30, 900, 100, 1000, now())"
    );
    run(sql, insert).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_knows_all_64_cells_of_the_invoice() {
    let world = World::new().await;
    let mut sql = world.sql().await;
    let mut legal = 0;
    for (row, from) in INVOICE.iter().enumerate() {
        for (column, to) in INVOICE.iter().enumerate() {
            let place = row * 8 + column + 1;
            let id = new_invoice(&mut sql).await;
            for step in way(from) {
                move_invoice(&mut sql, id, step, place).await.unwrap();
            }
            let done = move_invoice(&mut sql, id, to, place).await;
            let expected = INVOICE_LEGAL[row].as_bytes()[column] == b'x';
            legal += usize::from(expected);
            match done {
                Ok(rows) => assert!(expected || from == to, "{from} -> {to} changed {rows}"),
                Err(said) => {
                    assert!(!expected, "{from} -> {to}: {said}");
                    let edge = from == to || said.contains(&format!("cannot become {to}"));
                    assert!(edge, "{from} -> {to}: {said}");
                }
            }
        }
    }
    assert_eq!(legal, 28);
    let stored: i64 = sqlx::query_scalar("select count(*) from invoice_transition")
        .fetch_one(&mut sql)
        .await
        .unwrap();
    assert_eq!(stored, 28);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_holds_totals_and_facts_together() {
    let world = World::new().await;
    let mut sql = world.sql().await;
    let id = new_invoice(&mut sql).await;
    move_invoice(&mut sql, id, "SENT", 1).await.unwrap();
    for (change, complaint) in [
        ("total_minor = 2000", "cannot be edited"),
        ("client_id = 'other'", "cannot be edited"),
        ("number = 9", "keeps its number"),
        ("paid_minor = -1", "check constraint"),
        ("paid_minor = 400", "invoice_facts"),
        ("status = 'PAID'", "invoice_facts"),
        ("cancel_time = now()", "check"),
    ] {
        let update =
            format!("update invoice set version = version + 1, {change} where id = '{id}'");
        let refused = run(&mut sql, update).await.unwrap_err();
        assert!(refused.contains(complaint), "{change}: {refused}");
    }
    let skip = format!("update invoice set version = version + 2 where id = '{id}'");
    assert!(
        run(&mut sql, skip)
            .await
            .unwrap_err()
            .contains("to the next")
    );
    let line = format!(
        "insert into invoice_line values ('{id}', '{id}', 1, 'CUSTOM', 'd', 1, '', 1, 1, 5, \
         'EXEMPT', 0, 0)"
    );
    assert!(
        run(&mut sql, line)
            .await
            .unwrap_err()
            .contains("do not add up")
    );
    let paid = format!(
        "insert into invoice select * from jsonb_populate_record(null::invoice, \
         (select to_jsonb(i) from invoice i where id = '{id}') || \
         '{{\"id\": \"{}\", \"number\": 77}}')",
        Uuid::now_v7()
    );
    assert!(
        run(&mut sql, paid)
            .await
            .unwrap_err()
            .contains("begins as DRAFT")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_knows_all_49_cells_of_the_payment() {
    let world = World::new().await;
    let mut sql = world.sql().await;
    let invoice = new_invoice(&mut sql).await;
    let mut legal = 0;
    for (row, from) in PAYMENT.iter().enumerate() {
        for (column, to) in PAYMENT.iter().enumerate() {
            let id = Uuid::now_v7();
            let (first, way): (&str, &[&str]) = match *from {
                "PENDING" => ("PENDING", &[]),
                "COMPLETED" => ("COMPLETED", &[]),
                "REFUNDED" => ("COMPLETED", &["REFUNDED"]),
                "DISPUTED" => ("COMPLETED", &["DISPUTED"]),
                "PROCESSING" => ("PENDING", &["PROCESSING"]),
                "FAILED" => ("PENDING", &["FAILED"]),
                "CANCELLED" => ("PENDING", &["CANCELLED"]),
                other => panic!("{other}"),
            };
            let time = if first == "PENDING" { "null" } else { "now()" };
            let insert = format!(
                "insert into payment values ('{id}', '{id}', 1, '{invoice}', 'EUR', 5, 0, 'CASH', \
                 '{first}', null, '', now(), {time}, '', '', '{{}}', now())"
            );
            run(&mut sql, insert).await.unwrap();
            let update = |to: &str| {
                let open = matches!(to, "PENDING" | "PROCESSING");
                let time = if open { "null" } else { "now()" };
                format!(
                    "update payment set status = '{to}', process_time = {time} where id = '{id}'"
                )
            };
            for step in way {
                run(&mut sql, update(step)).await.unwrap();
            }
            let done = run(&mut sql, update(to)).await;
            let expected = PAYMENT_LEGAL[row].as_bytes()[column] == b'x';
            legal += usize::from(expected);
            assert_eq!(
                done.is_ok(),
                expected || from == to,
                "{from} -> {to}: {done:?}"
            );
        }
    }
    assert_eq!(legal, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_hold_stays_closed() {
    let world = World::new().await;
    let budget = world.budget("b", "5.00", "").await;
    let hold = world.hold("1", &budget.id, "1").await;
    let mut sql = world.sql().await;
    let set = |state: &str, actual: &str| {
        format!(
            "update hold set state = '{state}', actual = {actual}, close_time = now() \
             where id = '{}'",
            hold.id
        )
    };
    run(&mut sql, set("RELEASED", "null")).await.unwrap();
    for (state, actual) in [("HELD", "null"), ("COMMITTED", "1"), ("EXPIRED", "null")] {
        let refused = run(&mut sql, set(state, actual)).await.unwrap_err();
        assert!(refused.contains("cannot become"), "{refused}");
    }
}
