//! `LedgerService`.

use reeve_contracts::finance::v1::ledger_service_server::LedgerService;
use reeve_contracts::finance::v1::{
    self as proto, ListAccountsRequest, ListAccountsResponse, ListEntriesRequest,
    ListEntriesResponse, VerifyLedgerRequest, VerifyLedgerResponse,
};
use reeve_ids::Uuid;
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_status::{Fault, Violations};
use tonic::{Request, Response};

use super::{Answer, Shared, open, parse, render};
use crate::storage::ledger::EntryFilter;

/// The RPCs.
pub struct LedgerApi(pub Shared);

impl LedgerApi {
    /// Full name of the service.
    pub const NAME: &'static str = "reeve.finance.v1.LedgerService";
}

#[tonic::async_trait]
impl LedgerService for LedgerApi {
    async fn list_accounts(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Answer<ListAccountsResponse> {
        let (caller, message) = open(request)?;
        let mut v = Violations::new();
        let prefix = parse::text(&mut v, "code_prefix", &message.code_prefix, (0, 200));
        let code = &message.currency_code;
        if !code.is_empty() {
            parse::currency(&mut v, "currency_code", code);
        }
        v.finish()?;
        let bound = (&prefix, code);
        let (page, size) = parse::page(message.page_size, &message.page_token, &bound)?;
        let accounts = self
            .0
            .list_accounts(caller.tenant(), &prefix, code, page)
            .await;
        let accounts = accounts.map_err(Fault::from)?;
        let (accounts, next) = answer::page(accounts, size, render::account, |one| {
            (
                one.account.code.clone(),
                one.balance.currency().code().to_owned(),
            )
        });
        Ok(Response::new(ListAccountsResponse {
            accounts,
            next_page_token: next
                .map(|key| page::encode(&key, &bound))
                .unwrap_or_default(),
        }))
    }

    async fn list_entries(
        &self,
        request: Request<ListEntriesRequest>,
    ) -> Answer<ListEntriesResponse> {
        let (caller, message) = open(request)?;
        let filter = parse_filter(&message)?;
        let bound = format!("{filter:?}");
        let (page, size) =
            parse::page::<(Uuid, i32)>(message.page_size, &message.page_token, &bound)?;
        let entries = self.0.list_entries(caller.tenant(), filter, page).await;
        let entries = entries.map_err(Fault::from)?;
        let rendered = entries
            .iter()
            .map(|one| Ok(((one.journal_id, one.line), render::entry(one)?)))
            .collect::<Result<Vec<_>, Fault>>()?;
        let (entries, next) = answer::page(rendered, size, |(_, one)| one.clone(), |(key, _)| *key);
        Ok(Response::new(ListEntriesResponse {
            entries,
            next_page_token: next
                .map(|key| page::encode(&key, &bound))
                .unwrap_or_default(),
        }))
    }

    async fn verify_ledger(
        &self,
        request: Request<VerifyLedgerRequest>,
    ) -> Answer<VerifyLedgerResponse> {
        let (caller, _) = open(request)?;
        let result = self
            .0
            .verify_ledger(caller.tenant())
            .await
            .map_err(Fault::from)?;
        Ok(Response::new(render::verification(&result, self.0.now())))
    }
}

fn parse_filter(message: &ListEntriesRequest) -> Result<EntryFilter, Fault> {
    let mut v = Violations::new();
    let kind = proto::JournalKind::try_from(message.kind).map(|kind| kind.as_str_name());
    let source = parse::optional_id::<Uuid>(&mut v, "source_id", &message.source_id);
    let filter = EntryFilter {
        account_id: parse::optional_id(&mut v, "account_id", &message.account_id),
        journal_id: parse::optional_id(&mut v, "journal_id", &message.journal_id),
        kind: parse::filter_word(&mut v, "kind", kind, "JOURNAL_KIND_"),
        source_id: source,
        start_time: parse::time(&mut v, "start_time", message.start_time.as_ref()),
        end_time: parse::time(&mut v, "end_time", message.end_time.as_ref()),
    };
    v.finish()?;
    Ok(filter)
}
