//! What invoices are made from, and what may not happen twice.

use chrono::TimeDelta;
use reeve_contracts::finance::v1::*;
use reeve_ids::{AgentId, ProjectId, TaskId};
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;
use serde_json::json;

use crate::invoices::{create, draft, fee, issue, issued, made, minor, read, work};
use crate::world::{World, fault};

/// An attempt that took an hour and ended now.
async fn an_hour(world: &World, kind: &'static str, project: &str, agent: AgentId) {
    let data = json!({
        "type": "lint", "attempt": 1, "agent_id": agent.to_string(), "project_id": project,
        "started_time": world.now() - TimeDelta::minutes(60), "ended_time": world.now(),
    });
    let before = world.count("select count(*) from time_entry").await;
    world
        .task_event(kind, &TaskId::new().to_string(), data)
        .await;
    eventually(|| async { world.count("select count(*) from time_entry").await > before }).await;
}

async fn time_of(world: &World, request: ListTimeEntriesRequest) -> ListTimeEntriesResponse {
    let answer = world.invoices().list_time_entries(world.ask(request)).await;
    answer.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn time_stays_unbilled_until_it_is_on_a_line() {
    let world = World::new().await;
    let project = ProjectId::new().to_string();
    let agent = AgentId::new();
    an_hour(&world, "task.completed", &project, agent).await;
    an_hour(&world, "task.failed", &project, agent).await;
    let mut dollars = create(&world, &project);
    dollars.custom_line_items = vec![fee("10")];
    let first = made(&world, dollars.clone()).await;
    assert_eq!(first.line_items.len(), 1);
    assert_eq!(first.time_entries.len(), 2, "listed");
    assert!(
        first
            .time_entries
            .iter()
            .all(|entry| entry.invoice_id.is_empty())
    );

    let mut euros = create(&world, &project);
    euros.currency_code = "EUR".into();
    euros.hourly_rate = "80".into();
    let second = made(&world, euros.clone()).await;
    assert_eq!(minor(&second.totals.as_ref().unwrap().net_total), 8_000);
    let billed = |entry: &&TimeEntry| entry.invoice_id == second.id;
    let billed: Vec<_> = second.time_entries.iter().filter(billed).collect();
    assert!(billed.len() == 1 && billed[0].billable);
    let refused = fault(
        world
            .invoices()
            .create_invoice(world.ask(euros.clone()))
            .await,
    );
    assert_eq!(
        refused.reason(),
        Reason::NothingToInvoice,
        "no hour is billed twice"
    );

    // All that an invoice lists can be read, page by page.
    let page = |invoice: &str, token: String| ListTimeEntriesRequest {
        invoice_id: invoice.into(),
        page_size: 1,
        page_token: token,
        ..Default::default()
    };
    let one = time_of(&world, page(&second.id, String::new())).await;
    let two = time_of(&world, page(&second.id, one.next_page_token.clone())).await;
    assert_eq!(
        [one.time_entries, two.time_entries].concat(),
        second.time_entries
    );
    assert!(two.next_page_token.is_empty());
    an_hour(&world, "task.completed", &project, agent).await;
    let of_project = ListTimeEntriesRequest {
        project_id: project,
        ..Default::default()
    };
    assert_eq!(time_of(&world, of_project).await.time_entries.len(), 3);
    assert_eq!(
        time_of(&world, page(&first.id, String::new()))
            .await
            .time_entries
            .len(),
        1
    );

    let cancel = CancelInvoiceRequest {
        invoice_id: second.id,
        reason: "r".into(),
        ..Default::default()
    };
    world
        .invoices()
        .cancel_invoice(world.ask(cancel))
        .await
        .unwrap();
    euros.billing_period = create(&world, "").billing_period;
    let third = made(&world, euros).await;
    assert_eq!(
        minor(&third.totals.unwrap().net_total),
        16_000,
        "what was freed and what is new"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_billed_by_one_of_many_invoices_at_once() {
    let world = World::new().await;
    world.price_list().await;
    let project = ProjectId::new().to_string();
    for tokens in [1_000_000, 2_000_000, 3_000_000] {
        work(&world, &project, tokens).await;
    }
    an_hour(&world, "task.completed", &project, AgentId::new()).await;
    let mut request = create(&world, &project);
    request.hourly_rate = "80".into();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (mut client, request) = (world.invoices(), world.ask(request.clone()));
        calls.spawn(async move { client.create_invoice(request).await });
    }
    let mut nets = Vec::new();
    while let Some(answer) = calls.join_next().await {
        match answer.unwrap() {
            Ok(answer) => {
                let invoice = answer.into_inner().invoice.unwrap();
                nets.push(minor(&invoice.totals.unwrap().net_total));
            }
            Err(status) => {
                let reason = reeve_status::Fault::from(&status).reason();
                let known = [Reason::NothingToInvoice, Reason::WriteConflict];
                assert!(known.contains(&reason), "{status}");
            }
        }
    }
    // 6,000,000 at 3 a million, 21,003 at 15, and an hour.
    assert_eq!(nets.iter().sum::<i64>(), 1_800 + 32 + 8_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_was_not_used_is_given_again() {
    let world = World::new().await;
    let drafts = [draft(&world).await, draft(&world).await];
    let mut sql = world.sql().await;
    let refuse = "create function refuse() returns trigger language plpgsql as \
        $$ begin raise exception 'not now'; end $$; \
        create trigger refuse before update on invoice for each row execute function refuse()";
    sqlx::raw_sql(refuse).execute(&mut sql).await.unwrap();
    let request = IssueInvoiceRequest {
        invoice_id: drafts[0].id.clone(),
        ..Default::default()
    };
    let failed = fault(world.invoices().issue_invoice(world.ask(request)).await);
    assert_eq!(failed.code(), Code::Internal);
    let allow = "drop trigger refuse on invoice";
    sqlx::raw_sql(allow).execute(&mut sql).await.unwrap();
    let later = issue(&world, &drafts[1].id).await;
    assert!(
        later.invoice_number.ends_with("-000001"),
        "{}",
        later.invoice_number
    );

    // Whoever waited for the number has read the clock before.
    world.clock.advance(TimeDelta::seconds(-90));
    let next = issue(&world, &drafts[0].id).await;
    assert!(next.invoice_number.ends_with("-000002"));
    assert_eq!(
        next.sent_time, later.sent_time,
        "a greater number is not dated before a smaller"
    );
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_repeated_by_their_request_id() {
    let world = World::new().await;
    let draft = draft(&world).await;
    let issue = IssueInvoiceRequest {
        request_id: "i".into(),
        invoice_id: draft.id.clone(),
        etag: draft.etag.clone(),
    };
    let answer = world
        .invoices()
        .issue_invoice(world.ask(issue.clone()))
        .await;
    let issued = answer.unwrap().into_inner();
    let again = world
        .invoices()
        .issue_invoice(world.ask(issue.clone()))
        .await;
    assert_eq!(
        again.unwrap().into_inner(),
        issued,
        "although its etag is stale by now"
    );
    let other = IssueInvoiceRequest {
        etag: String::new(),
        ..issue
    };
    let refused = fault(world.invoices().issue_invoice(world.ask(other)).await);
    assert_eq!(refused.reason(), Reason::RequestIdReused);

    let viewed = MarkInvoiceViewedRequest {
        invoice_id: draft.id.clone(),
        etag: draft.etag,
    };
    let refused = fault(
        world
            .invoices()
            .mark_invoice_viewed(world.ask(viewed))
            .await,
    );
    assert_eq!(refused.reason(), Reason::EtagMismatch);
    let current = issued.invoice.unwrap().etag;
    assert_eq!(refused.metadata()["current_etag"], current);
    let cancel = CancelInvoiceRequest {
        request_id: "c".into(),
        invoice_id: draft.id,
        etag: current,
        reason: "r".into(),
    };
    for _ in 0..2 {
        let answer = world
            .invoices()
            .cancel_invoice(world.ask(cancel.clone()))
            .await;
        let status = answer.unwrap().into_inner().invoice.unwrap().status();
        assert_eq!(status, InvoiceStatus::Cancelled);
    }
    assert_eq!(world.events("invoice.cancelled").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_can_be_read_whatever_belongs_to_it() {
    let world = World::new().await;
    let invoice = issued(&world).await;
    // As many failed payments as came in over the years, each as large as it may be.
    let insert = "insert into payment select gen_random_uuid(), tenant_id, 1, id, 'USD', 1, 0, \
        'CASH', 'COMPLETED', null, '', now(), now(), repeat('r', 2000), repeat('n', 2000), \
        jsonb_build_object('data', repeat('d', 16000)), now() \
        from invoice, generate_series(1, 1000)";
    sqlx::query(insert)
        .execute(&mut world.sql().await)
        .await
        .unwrap();
    let read = read(&world, &invoice.id).await;
    assert_eq!(read.payments.len(), 1_000);
    assert!(read.payments.iter().all(|one| one.notes.is_empty()));
    let mut token = String::new();
    let (mut seen, mut pages) = (0, 0);
    loop {
        let request = ListPaymentsRequest {
            invoice_id: invoice.id.clone(),
            page_size: 1_000,
            page_token: token,
            ..Default::default()
        };
        let page = world.payments().list_payments(world.ask(request)).await;
        let page = page.unwrap().into_inner();
        assert!(page.payments.iter().all(|one| one.notes.len() == 2_000));
        seen += page.payments.len();
        pages += 1;
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert!(
        seen == 1_000 && pages > 6,
        "{seen} payments on {pages} pages"
    );
}
