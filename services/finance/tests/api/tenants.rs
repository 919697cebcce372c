use reeve_contracts::finance::v1::*;
use reeve_ids::TenantId;
use reeve_status::{Code, Reason};
use reeve_testkit::authorize;

use crate::invoices::issued;
use crate::world::{World, fault, price_list, reserve};

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_sees_and_changes_nothing() {
    let world = World::new().await;
    let card = world.price_list().await;
    let budget = world.budget("b", "5.00", "").await;
    let hold = world.hold("1", &budget.id, "1").await;
    let invoice = issued(&world).await;
    let stranger = world.keys.admin(TenantId::new());
    macro_rules! absent {
        ($client:ident, $method:ident, $request:expr) => {
            let answer = world
                .$client()
                .$method(authorize(&stranger, $request))
                .await;
            let refused = fault(answer);
            assert_eq!(
                refused.code(),
                Code::NotFound,
                "{}: {refused}",
                stringify!($method)
            );
        };
    }
    absent!(
        rate_cards,
        get_rate_card,
        GetRateCardRequest {
            rate_card_id: card.id
        }
    );
    absent!(
        budgets,
        get_budget,
        GetBudgetRequest {
            budget_id: budget.id.clone()
        }
    );
    absent!(budgets, reserve_budget, reserve("x", &budget.id, "1"));
    absent!(
        budgets,
        release_hold,
        ReleaseHoldRequest {
            hold_id: hold.id,
            ..Default::default()
        }
    );
    absent!(
        invoices,
        get_invoice,
        GetInvoiceRequest {
            invoice_id: invoice.id.clone()
        }
    );
    absent!(
        invoices,
        mark_invoice_viewed,
        MarkInvoiceViewedRequest {
            invoice_id: invoice.id.clone(),
            ..Default::default()
        }
    );
    macro_rules! empty {
        ($client:ident, $method:ident, $request:expr, $field:ident) => {
            let answer = world
                .$client()
                .$method(authorize(&stranger, $request))
                .await
                .unwrap();
            assert!(answer.into_inner().$field.is_empty(), stringify!($method));
        };
    }
    empty!(
        rate_cards,
        list_rate_cards,
        ListRateCardsRequest::default(),
        rate_cards
    );
    empty!(
        budgets,
        list_budgets,
        ListBudgetsRequest::default(),
        budgets
    );
    empty!(budgets, list_holds, ListHoldsRequest::default(), holds);
    empty!(
        invoices,
        list_invoices,
        ListInvoicesRequest::default(),
        invoices
    );
    empty!(
        invoices,
        list_time_entries,
        ListTimeEntriesRequest {
            invoice_id: invoice.id,
            ..Default::default()
        },
        time_entries
    );
    empty!(
        ledger,
        list_accounts,
        ListAccountsRequest::default(),
        accounts
    );
    empty!(ledger, list_entries, ListEntriesRequest::default(), entries);
    // The same name and the same number are free in every tenant.
    let list = authorize(&stranger, price_list("list", "acme", "m1"));
    let answer = world
        .rate_cards()
        .create_rate_card(list)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.rate_card.unwrap().version, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_is_needed() {
    let world = World::new().await;
    let key = world.keys.key(world.tenant, &["budgets.get"]);
    let request = authorize(&key, ListBudgetsRequest::default());
    let refused = fault(world.budgets().list_budgets(request).await);
    assert_eq!(refused.reason(), Reason::PermissionMissing);
}
