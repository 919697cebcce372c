use std::process::Command;

use chrono::TimeDelta;
use reeve_contracts::finance::v1::*;
use reeve_ids::{AgentId, InvoiceId, ProjectId, TaskId};
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;
use serde_json::json;

use crate::world::{World, fault, fields, unit};

/// A request that bills `project` for everything until a minute from now.
pub fn create(world: &World, project: &str) -> CreateInvoiceRequest {
    let end = world.now() + TimeDelta::minutes(1);
    let address = PostalAddress {
        lines: vec!["Hauptstraße 1".into()],
        postal_code: "10115".into(),
        city: "Berlin".into(),
        country_code: "DE".into(),
        ..Default::default()
    };
    CreateInvoiceRequest {
        project_id: project.into(),
        currency_code: "USD".into(),
        billing_period: Some(BillingPeriod {
            start_time: None,
            end_time: Some(prost_types::Timestamp {
                seconds: end.timestamp(),
                nanos: 0,
            }),
        }),
        client_info: Some(ClientInfo {
            client_id: "C-42".into(),
            client_name: "Zażółć Sp. z o.o.".into(),
            address: Some(address.clone()),
            ..Default::default()
        }),
        company_info: Some(CompanyInfo {
            legal_name: "Reeve Works GmbH".into(),
            address: Some(address),
            ..Default::default()
        }),
        tax_category: TaxCategory::Standard.into(),
        tax_percent: "19".into(),
        ..Default::default()
    }
}

pub fn fee(amount: &str) -> CustomLineItem {
    CustomLineItem {
        description: "Set-up".into(),
        quantity: "1".into(),
        unit: "piece".into(),
        unit_price: unit(amount, 1),
    }
}

pub async fn made(world: &World, request: CreateInvoiceRequest) -> Invoice {
    let answer = world
        .invoices()
        .create_invoice(world.ask(request))
        .await
        .unwrap();
    answer.into_inner().invoice.unwrap()
}

pub async fn issue(world: &World, id: &str) -> Invoice {
    let request = IssueInvoiceRequest {
        invoice_id: id.into(),
        etag: String::new(),
        ..Default::default()
    };
    let answer = world
        .invoices()
        .issue_invoice(world.ask(request))
        .await
        .unwrap();
    answer.into_inner().invoice.unwrap()
}

pub async fn read(world: &World, id: &str) -> Invoice {
    let request = GetInvoiceRequest {
        invoice_id: id.into(),
    };
    let answer = world
        .invoices()
        .get_invoice(world.ask(request))
        .await
        .unwrap();
    answer.into_inner().invoice.unwrap()
}

/// A draft over 119.00.
pub async fn draft(world: &World) -> Invoice {
    let mut request = create(world, &ProjectId::new().to_string());
    request.custom_line_items = vec![fee("100")];
    made(world, request).await
}

/// An issued invoice over 119.00.
pub async fn issued(world: &World) -> Invoice {
    let draft = draft(world).await;
    issue(world, &draft.id).await
}

pub fn minor(money: &Option<reeve_contracts::r#type::v1::Money>) -> i64 {
    let text = &money.as_ref().unwrap().amount;
    let (whole, cents) = text.split_once('.').unwrap();
    assert_eq!(cents.len(), 2, "{text}");
    format!("{whole}{cents}").parse().unwrap()
}

pub async fn work(world: &World, project: &str, tokens: i64) {
    let usage = Usage {
        provider: "acme".into(),
        model: "m1".into(),
        input_tokens: tokens,
        output_tokens: 7_001,
        ..Default::default()
    };
    let request = ReportUsageRequest {
        project_id: project.into(),
        usages: vec![usage],
        ..Default::default()
    };
    world
        .usage()
        .report_usage(world.ask(request))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_bills_all_work_of_a_project_once() {
    let world = World::new().await;
    world.price_list().await;
    let project = ProjectId::new().to_string();
    for tokens in [1_234_567, 890_123, 33] {
        work(&world, &project, tokens).await;
    }
    work(&world, &ProjectId::new().to_string(), 5_000_000).await;
    let task = TaskId::new().to_string();
    let data = json!({
        "type": "lint", "attempt": 1, "agent_id": AgentId::new().to_string(),
        "project_id": project, "started_time": world.now() - TimeDelta::minutes(90),
        "ended_time": world.now(),
    });
    world.task_event("task.completed", &task, data).await;
    let mut sql = world.sql().await;
    eventually(|| async {
        let entries: i64 = sqlx::query_scalar("select count(*) from time_entry")
            .fetch_one(&mut world.sql().await)
            .await
            .unwrap();
        entries == 1
    })
    .await;

    let mut request = create(&world, &project);
    request.markup_percent = "12.5".into();
    request.hourly_rate = "80".into();
    request.custom_line_items = vec![fee("250.005")];
    request.request_id = "bill".into();
    let invoice = made(&world, request.clone()).await;
    assert_eq!(invoice.status(), InvoiceStatus::Draft);
    assert_eq!(
        made(&world, request.clone()).await,
        invoice,
        "a repetition makes nothing"
    );
    assert_eq!(invoice.time_entries.len(), 1);

    // Once more, in integers of 10^-10 alone: 2,124,723 tokens at 3 a million, 21,003 at 15.
    let input: i128 = 2_124_723 * 3 * 10_000;
    let output: i128 = 21_003 * 15 * 10_000;
    let marked_up = (input + output) * 1_125 / 1_000;
    let accrued = i64::try_from((marked_up + 50_000_000) / 100_000_000).unwrap();
    let net = accrued + 12_000 + 25_001;
    let tax = (net * 19 + 50) / 100;
    let totals = invoice.totals.as_ref().unwrap();
    assert_eq!(minor(&totals.net_total), net);
    assert_eq!(minor(&totals.tax_total), tax);
    assert_eq!(minor(&totals.grand_total), net + tax);
    assert_eq!(minor(&totals.amount_due), net + tax);
    let sum = |of: fn(&InvoiceLineItem) -> i64| invoice.line_items.iter().map(of).sum::<i64>();
    assert_eq!(sum(|line| minor(&line.net_amount)), net);
    assert_eq!(sum(|line| minor(&line.tax_amount)), tax);
    let shares: f64 = invoice
        .cost_breakdowns
        .iter()
        .map(|part| part.share_percent.parse::<f64>().unwrap())
        .sum();
    assert!((shares - 100.0).abs() < 1e-9);
    let used: Vec<_> = invoice
        .resource_usages
        .iter()
        .map(|one| (one.resource.as_str(), one.quantity.as_str()))
        .collect();
    assert_eq!(
        used,
        [("input_tokens", "2124723"), ("output_tokens", "21003")]
    );

    request.request_id.clear();
    request.custom_line_items.clear();
    let refused = fault(
        world
            .invoices()
            .create_invoice(world.ask(request.clone()))
            .await,
    );
    assert_eq!(
        refused.reason(),
        Reason::NothingToInvoice,
        "no work is billed twice"
    );

    // Cancelling frees the work for another invoice.
    let cancel = CancelInvoiceRequest {
        invoice_id: invoice.id.clone(),
        reason: "wrong client".into(),
        ..Default::default()
    };
    world
        .invoices()
        .cancel_invoice(world.ask(cancel))
        .await
        .unwrap();
    let second = made(&world, request).await;
    assert_eq!(minor(&second.totals.unwrap().net_total), accrued + 12_000);
    let billed: i64 =
        sqlx::query_scalar("select count(*) from usage_record where invoice_id is not null")
            .fetch_one(&mut sql)
            .await
            .unwrap();
    assert_eq!(billed, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn issuing_numbers_without_gaps_and_posts() {
    let world = World::new().await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let mut request = create(&world, &ProjectId::new().to_string());
        request.custom_line_items = vec![fee("100")];
        let draft = made(&world, request).await;
        let request = world.ask(IssueInvoiceRequest {
            invoice_id: draft.id,
            etag: draft.etag,
            ..Default::default()
        });
        let mut client = world.invoices();
        calls.spawn(async move { client.issue_invoice(request).await });
    }
    let mut numbers = Vec::new();
    while let Some(answer) = calls.join_next().await {
        let invoice = answer.unwrap().unwrap().into_inner().invoice.unwrap();
        assert_eq!(invoice.status(), InvoiceStatus::Sent);
        numbers.push(invoice.invoice_number);
    }
    numbers.sort();
    let year = world.now().format("%Y");
    let expected: Vec<_> = (1..=12).map(|at| format!("INV-{year}-{at:06}")).collect();
    assert_eq!(numbers, expected);
    let sound = world.assert_sound().await;
    assert_eq!((sound.journal_count, sound.entry_count), (12, 36));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_of_an_invoice() {
    let world = World::new().await;
    let invoice = issued(&world).await;
    let again = issue(&world, &invoice.id).await;
    assert_eq!(again, invoice, "issuing twice is issuing once");
    let stale = CancelInvoiceRequest {
        invoice_id: invoice.id.clone(),
        etag: "v1".into(),
        reason: "r".into(),
        ..Default::default()
    };
    let refused = fault(world.invoices().cancel_invoice(world.ask(stale)).await);
    assert_eq!(
        (refused.code(), refused.reason()),
        (Code::Aborted, Reason::EtagMismatch)
    );
    let view = || MarkInvoiceViewedRequest {
        invoice_id: invoice.id.clone(),
        ..Default::default()
    };
    world
        .invoices()
        .mark_invoice_viewed(world.ask(view()))
        .await
        .unwrap();
    world
        .invoices()
        .mark_invoice_viewed(world.ask(view()))
        .await
        .unwrap();
    assert_eq!(
        read(&world, &invoice.id).await.status(),
        InvoiceStatus::Viewed
    );

    world.clock.advance(TimeDelta::days(32));
    eventually(|| async { read(&world, &invoice.id).await.status() == InvoiceStatus::Overdue })
        .await;
    assert_eq!(world.events("invoice.overdue").await, 1);
    let cancel = CancelInvoiceRequest {
        invoice_id: invoice.id.clone(),
        reason: "goodwill".into(),
        ..Default::default()
    };
    let answer = world
        .invoices()
        .cancel_invoice(world.ask(cancel))
        .await
        .unwrap();
    let cancelled = answer.into_inner().invoice.unwrap();
    assert_eq!(cancelled.status(), InvoiceStatus::Cancelled);
    assert_eq!(
        cancelled.invoice_number, invoice.invoice_number,
        "the number stays used"
    );
    assert_eq!(cancelled.totals.unwrap().amount_due.unwrap().amount, "0.00");
    assert_eq!(
        world.assert_sound().await.journal_count,
        2,
        "the posting and its reversal"
    );
    let refused = fault(
        world
            .invoices()
            .mark_invoice_viewed(world.ask(view()))
            .await,
    );
    assert_eq!(refused.reason(), Reason::TransitionForbidden);
    assert_eq!(refused.metadata()["legal"], "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_pay_is_paid_when_issued() {
    let world = World::new().await;
    let mut request = create(&world, &ProjectId::new().to_string());
    request.custom_line_items = vec![fee("0")];
    let draft = made(&world, request).await;
    let paid = issue(&world, &draft.id).await;
    assert_eq!(paid.status(), InvoiceStatus::Paid);
    assert_eq!(world.assert_sound().await.journal_count, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pdf_says_what_is_stored() {
    let world = World::new().await;
    let invoice = issued(&world).await;
    let render = || RenderInvoiceRequest {
        invoice_id: invoice.id.clone(),
        format: InvoiceFormat::Pdf.into(),
    };
    let pdf = world
        .invoices()
        .render_invoice(world.ask(render()))
        .await
        .unwrap()
        .into_inner();
    let again = world
        .invoices()
        .render_invoice(world.ask(render()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(pdf, again, "the bytes repeat");
    assert!(pdf.content.starts_with(b"%PDF-"));
    assert_eq!(pdf.file_name, format!("{}.pdf", invoice.invoice_number));
    assert_eq!(
        (pdf.content_type.as_str(), pdf.sha256.len()),
        ("application/pdf", 64)
    );
    // What is drawn is checked in src/pdf; here a foreign reader has a look, where there is one.
    let path = std::env::temp_dir().join(format!("{}.pdf", InvoiceId::new()));
    std::fs::write(&path, &pdf.content).unwrap();
    if let Ok(read) = Command::new("pdftotext")
        .arg("-layout")
        .arg(&path)
        .arg("-")
        .output()
    {
        let text = String::from_utf8(read.stdout).unwrap();
        for said in [
            "119.00",
            "19.00",
            "100.00",
            "Zażółć Sp. z o.o.",
            &invoice.invoice_number,
        ] {
            assert!(text.contains(said), "{said} is not in:\n{text}");
        }
    }
    std::fs::remove_file(path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_reported_all_at_once() {
    let world = World::new().await;
    let request = CreateInvoiceRequest {
        tax_percent: "19.00001".into(),
        hourly_rate: "-1".into(),
        series: "inv".into(),
        custom_line_items: vec![CustomLineItem {
            quantity: "0".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let refused = fault(world.invoices().create_invoice(world.ask(request)).await);
    assert_eq!(
        fields(&refused),
        [
            "project_id",
            "currency_code",
            "tax_category",
            "tax_percent",
            "hourly_rate",
            "billing_period.end_time",
            "client_info.client_id",
            "client_info.client_name",
            "company_info.legal_name",
            "custom_line_items[0].description",
            "custom_line_items[0].quantity",
            "custom_line_items[0].unit_price",
            "series",
        ]
    );
    let request = RenderInvoiceRequest {
        invoice_id: "x".into(),
        format: 9,
    };
    let refused = fault(world.invoices().render_invoice(world.ask(request)).await);
    assert_eq!(fields(&refused), ["invoice_id", "format"]);
}
