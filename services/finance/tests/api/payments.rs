use reeve_contracts::finance::v1::*;
use reeve_status::{Code, Reason};

use crate::invoices::{issued, read};
use crate::world::{World, fault, fields, money, usd};

fn pay(request_id: &str, invoice: &Invoice, amount: &str) -> RecordPaymentRequest {
    RecordPaymentRequest {
        request_id: request_id.into(),
        invoice_id: invoice.id.clone(),
        amount: Some(usd(amount)),
        method: PaymentMethod::BankTransfer.into(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_in_parts_settle_an_invoice() {
    let world = World::new().await;
    let invoice = issued(&world).await;
    let first = world
        .payments()
        .record_payment(world.ask(pay("1", &invoice, "19")))
        .await;
    let first = first.unwrap().into_inner();
    assert_eq!(
        first.payment.as_ref().unwrap().status(),
        PaymentStatus::Completed
    );
    assert_eq!(
        first.invoice.as_ref().unwrap().status(),
        InvoiceStatus::PartiallyPaid
    );
    let again = world
        .payments()
        .record_payment(world.ask(pay("1", &invoice, "19")))
        .await;
    assert_eq!(
        again.unwrap().into_inner().payment,
        first.payment,
        "a repetition pays nothing"
    );

    let refused = fault(
        world
            .payments()
            .record_payment(world.ask(pay("2", &invoice, "100.01")))
            .await,
    );
    assert_eq!(
        (refused.code(), refused.reason()),
        (Code::FailedPrecondition, Reason::Overpayment)
    );
    assert_eq!(refused.metadata()["left"], "100.00");

    let rest = RecordPaymentRequest {
        processing_fee: Some(usd("1.25")),
        method: PaymentMethod::Cash.into(),
        ..pay("3", &invoice, "100")
    };
    let last = world
        .payments()
        .record_payment(world.ask(rest))
        .await
        .unwrap()
        .into_inner();
    let settled = last.invoice.unwrap();
    assert_eq!(settled.status(), InvoiceStatus::Paid);
    assert!(settled.paid_time.is_some());
    assert_eq!(settled.totals.unwrap().amount_due.unwrap().amount, "0.00");
    assert_eq!(world.events("invoice.paid").await, 1);
    assert_eq!(read(&world, &invoice.id).await.payments.len(), 2);
    let sound = world.assert_sound().await;
    assert_eq!(sound.journal_count, 3);
    let request = ListAccountsRequest {
        code_prefix: "assets:".into(),
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
            ("assets:cash:bank_transfer", "19.00"),
            ("assets:cash:cash", "98.75"),
            ("assets:receivable:C-42", "0.00"),
        ]
    );
    let cancel = CancelInvoiceRequest {
        invoice_id: invoice.id.clone(),
        reason: "late".into(),
        ..Default::default()
    };
    let refused = fault(world.invoices().cancel_invoice(world.ask(cancel)).await);
    assert_eq!(refused.reason(), Reason::TransitionForbidden);
    assert_eq!(refused.metadata()["paid"], "119.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processors_payment_waits_for_its_outcome() {
    let world = World::new().await;
    let invoice = issued(&world).await;
    let card = |request_id: &str, transaction: &str| RecordPaymentRequest {
        method: PaymentMethod::CreditCard.into(),
        transaction_id: transaction.into(),
        ..pay(request_id, &invoice, "100")
    };
    let answer = world
        .payments()
        .record_payment(world.ask(card("1", "t1")))
        .await
        .unwrap();
    let pending = answer.into_inner().payment.unwrap();
    assert_eq!(pending.status(), PaymentStatus::Pending);
    assert_eq!(
        read(&world, &invoice.id).await.status(),
        InvoiceStatus::Sent
    );
    let refused = fault(
        world
            .payments()
            .record_payment(world.ask(card("2", "t2")))
            .await,
    );
    assert_eq!(
        refused.reason(),
        Reason::Overpayment,
        "what is pending is spoken for"
    );
    let cancel = CancelInvoiceRequest {
        invoice_id: invoice.id.clone(),
        reason: "r".into(),
        ..Default::default()
    };
    let refused = fault(world.invoices().cancel_invoice(world.ask(cancel)).await);
    assert_eq!(refused.reason(), Reason::TransitionForbidden);
    let says = |key: &str| refused.metadata()[key].as_str();
    assert_eq!(
        says("legal"),
        "VIEWED, PARTIALLY_PAID, PAID, OVERDUE",
        "not what is refused"
    );
    assert_eq!((says("paid"), says("pending")), ("0.00", "100.00"));
    assert_eq!(refused.preconditions()[1].kind, "MONEY");

    let fail = FailPaymentRequest {
        payment_id: pending.id.clone(),
        processor_response: "timeout".into(),
        ..Default::default()
    };
    let answer = world
        .payments()
        .fail_payment(world.ask(fail))
        .await
        .unwrap();
    assert_eq!(
        answer.into_inner().payment.unwrap().status(),
        PaymentStatus::Failed
    );
    let refused = fault(
        world
            .payments()
            .cancel_payment(world.ask(CancelPaymentRequest {
                payment_id: pending.id.clone(),
                ..Default::default()
            }))
            .await,
    );
    assert_eq!(refused.metadata()["legal"], "COMPLETED");
    let complete = || CompletePaymentRequest {
        payment_id: pending.id.clone(),
        ..Default::default()
    };
    for _ in 0..2 {
        let answer = world
            .payments()
            .complete_payment(world.ask(complete()))
            .await
            .unwrap();
        let answer = answer.into_inner();
        assert_eq!(answer.payment.unwrap().processor_response, "timeout");
        assert_eq!(
            answer
                .invoice
                .unwrap()
                .totals
                .unwrap()
                .paid_total
                .unwrap()
                .amount,
            "100.00"
        );
    }
    let taken = RecordPaymentRequest {
        amount: Some(usd("1")),
        ..card("3", "t1")
    };
    let refused = fault(world.payments().record_payment(world.ask(taken)).await);
    assert_eq!(refused.code(), Code::AlreadyExists);
    assert_eq!(world.assert_sound().await.journal_count, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_takes_no_payment_and_says_why() {
    let world = World::new().await;
    let draft = crate::invoices::draft(&world).await;
    let refused = fault(
        world
            .payments()
            .record_payment(world.ask(pay("1", &draft, "1")))
            .await,
    );
    assert_eq!(refused.reason(), Reason::TransitionForbidden);
    assert_eq!(refused.metadata()["legal"], "SENT, CANCELLED");
    assert_eq!(refused.preconditions()[1].kind, "ISSUED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_repeated_by_its_request_id_and_guarded_by_the_etag() {
    let world = World::new().await;
    let invoice = issued(&world).await;
    let card = RecordPaymentRequest {
        method: PaymentMethod::CreditCard.into(),
        ..pay("1", &invoice, "100")
    };
    let answer = world.payments().record_payment(world.ask(card)).await;
    let pending = answer.unwrap().into_inner().payment.unwrap();
    let fail = FailPaymentRequest {
        request_id: "f".into(),
        payment_id: pending.id.clone(),
        etag: pending.etag.clone(),
        processor_response: "declined".into(),
    };
    for _ in 0..2 {
        let answer = world.payments().fail_payment(world.ask(fail.clone())).await;
        let failed = answer.unwrap().into_inner().payment.unwrap();
        assert_eq!(
            (failed.status(), failed.etag.as_str()),
            (PaymentStatus::Failed, "v2")
        );
    }
    let stale = CompletePaymentRequest {
        payment_id: pending.id.clone(),
        etag: pending.etag,
        ..Default::default()
    };
    let refused = fault(world.payments().complete_payment(world.ask(stale)).await);
    assert_eq!(
        (refused.code(), refused.reason()),
        (Code::Aborted, Reason::EtagMismatch)
    );
    let complete = CompletePaymentRequest {
        request_id: "late".into(),
        payment_id: pending.id,
        etag: "v2".into(),
        ..Default::default()
    };
    for _ in 0..2 {
        let answer = world
            .payments()
            .complete_payment(world.ask(complete.clone()))
            .await;
        let completed = answer.unwrap().into_inner().payment.unwrap();
        assert_eq!(completed.status(), PaymentStatus::Completed);
    }
    assert_eq!(world.events("payment.completed").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_at_once_are_not_more_than_is_owed() {
    let world = World::new().await;
    let invoice = issued(&world).await;
    let mut calls = tokio::task::JoinSet::new();
    for at in 0..8 {
        let mut client = world.payments();
        let request = world.ask(pay(&at.to_string(), &invoice, "50"));
        calls.spawn(async move { client.record_payment(request).await });
    }
    let mut taken = 0;
    while let Some(answer) = calls.join_next().await {
        match answer.unwrap() {
            Ok(_) => taken += 1,
            Err(status) => {
                let fault = reeve_status::Fault::from(&status);
                assert_eq!(fault.reason(), Reason::Overpayment, "{fault}");
            }
        }
    }
    assert_eq!(taken, 2, "of 119.00");
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_reported_all_at_once() {
    let world = World::new().await;
    let invoice = issued(&world).await;
    let request = RecordPaymentRequest {
        amount: Some(money("0.00", "EUR")),
        processing_fee: Some(usd("1")),
        invoice_id: "x".into(),
        payment_time: Some(prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        }),
        ..Default::default()
    };
    let refused = fault(world.payments().record_payment(world.ask(request)).await);
    assert_eq!(
        fields(&refused),
        [
            "request_id",
            "invoice_id",
            "amount.amount",
            "method",
            "processing_fee.currency_code",
            "processing_fee.amount",
            "payment_time",
        ]
    );
    let euro = RecordPaymentRequest {
        amount: Some(money("1", "EUR")),
        ..pay("1", &invoice, "1")
    };
    let refused = fault(world.payments().record_payment(world.ask(euro)).await);
    assert_eq!(refused.reason(), Reason::CurrencyMismatch);
}
