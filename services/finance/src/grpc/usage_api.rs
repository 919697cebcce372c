//! `UsageService`.

use reeve_contracts::finance::v1::usage_service_server::UsageService;
use reeve_contracts::finance::v1::{
    GetCostSummaryRequest, GetCostSummaryResponse, ListUsageRequest, ListUsageResponse,
    ReportUsageRequest, ReportUsageResponse,
};
use reeve_ids::Uuid;
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_status::Fault;
use tonic::{Request, Response};

use super::{Answer, Shared, call, open, parse, parse_usage, render, render_usage};
use crate::storage::rows::SummaryRow;

/// The RPCs.
pub struct UsageApi(pub Shared);

impl UsageApi {
    /// Full name of the service.
    pub const NAME: &'static str = "reeve.finance.v1.UsageService";
}

#[tonic::async_trait]
impl UsageService for UsageApi {
    async fn report_usage(
        &self,
        request: Request<ReportUsageRequest>,
    ) -> Answer<ReportUsageResponse> {
        let (caller, message) = open(request)?;
        let new = parse_usage::report(&message, self.0.now())?;
        let call = call(&caller, "ReportUsage", &message.request_id, &message);
        let reported = self.0.report_usage(call, new).await.map_err(Fault::from)?;
        let (records, cost) = reported;
        Ok(Response::new(ReportUsageResponse {
            records: records.iter().map(render_usage::record).collect(),
            cost: cost.map(render::cost),
        }))
    }

    async fn list_usage(&self, request: Request<ListUsageRequest>) -> Answer<ListUsageResponse> {
        let (caller, message) = open(request)?;
        let filter = parse_usage::list_filter(&message)?;
        let bound = format!("{filter:?}");
        let (page, size) = parse::page::<Uuid>(message.page_size, &message.page_token, &bound)?;
        let records = self.0.list_usage(caller.tenant(), &filter, page).await;
        let records = records.map_err(Fault::from)?;
        let (records, next) =
            answer::page(records, size, render_usage::record, |one| one.id.uuid());
        Ok(Response::new(ListUsageResponse {
            records,
            next_page_token: next
                .map(|key| page::encode(&key, &bound))
                .unwrap_or_default(),
        }))
    }

    async fn get_cost_summary(
        &self,
        request: Request<GetCostSummaryRequest>,
    ) -> Answer<GetCostSummaryResponse> {
        let (caller, message) = open(request)?;
        let (dimension, filter) = parse_usage::summary(&message)?;
        let bound = format!("{dimension} {filter:?}");
        let (page, size) = parse::page(message.page_size, &message.page_token, &bound)?;
        let summary = self
            .0
            .summarize_costs(caller.tenant(), dimension, &filter, page)
            .await;
        let (rows, totals) = summary.map_err(Fault::from)?;
        let key = |row: &SummaryRow| (row.key.clone(), row.cost, row.currency.clone());
        let (rows, next) = answer::page(rows, size, render_usage::summary_row, key);
        Ok(Response::new(GetCostSummaryResponse {
            rows,
            totals: totals.iter().filter_map(render_usage::total).collect(),
            unpriced_count: totals.iter().map(|row| row.unpriced_count).sum(),
            next_page_token: next
                .map(|key| page::encode(&key, &bound))
                .unwrap_or_default(),
        }))
    }
}
