//! RuleService.

use reeve_auth::Caller;
use reeve_contracts::incident::v1::rule_service_server::RuleService;
use reeve_contracts::incident::v1::{
    CreateRuleRequest, CreateRuleResponse, DeleteRuleRequest, DeleteRuleResponse, GetRuleRequest,
    GetRuleResponse, ListAlertsRequest, ListAlertsResponse, ListRulesRequest, ListRulesResponse,
    UpdateRuleRequest, UpdateRuleResponse,
};
use reeve_ids::{RuleId, Uuid};
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_status::Fault;
use tonic::{Request, Response, Status};

use super::parse::{Reader, filters, rules};
use super::render;
use crate::operations::Operations;

/// Owns the rules.
#[derive(Debug)]
pub struct RuleApi {
    operations: Operations,
}

impl RuleApi {
    /// The full name of the gRPC service, for health and reflection.
    pub const NAME: &'static str = "reeve.incident.v1.RuleService";

    /// The service over its operations.
    pub fn new(operations: Operations) -> Self {
        Self { operations }
    }

    fn target(&self, rule_id: &str, etag: &str) -> Result<(RuleId, Option<i64>), Fault> {
        let mut reader = Reader::new(self.operations.now());
        let id = reader.id("rule_id", rule_id);
        let etag = reader.etag(etag);
        reader.finish()?;
        Ok((id.ok_or_else(Fault::internal)?, etag))
    }
}

#[tonic::async_trait]
impl RuleService for RuleApi {
    async fn create_rule(
        &self,
        request: Request<CreateRuleRequest>,
    ) -> Result<Response<CreateRuleResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let (rule, key) = rules::create(caller.tenant(), &request, self.operations.now())?;
        let rule = self
            .operations
            .create_rule(&caller, rule, key.as_ref())
            .await?;
        Ok(Response::new(CreateRuleResponse {
            rule: Some(render::rules::rule(&rule)),
        }))
    }

    async fn get_rule(
        &self,
        request: Request<GetRuleRequest>,
    ) -> Result<Response<GetRuleResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let (id, _) = self.target(&request.rule_id, "")?;
        let rule = self.operations.get_rule(&caller, id).await?;
        Ok(Response::new(GetRuleResponse {
            rule: Some(render::rules::rule(&rule)),
        }))
    }

    async fn list_rules(
        &self,
        request: Request<ListRulesRequest>,
    ) -> Result<Response<ListRulesResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let size = page::size(request.page_size)?;
        let after = page::decode::<String>(&request.page_token, &"rules")?.unwrap_or_default();
        let listed = self
            .operations
            .list_rules(&caller, &after, size + 1)
            .await?;
        let (rules, next) =
            answer::page(listed, size, render::rules::rule, |rule| rule.name.clone());
        Ok(Response::new(ListRulesResponse {
            rules,
            next_page_token: next
                .map(|key| page::encode(&key, &"rules"))
                .unwrap_or_default(),
        }))
    }

    async fn update_rule(
        &self,
        request: Request<UpdateRuleRequest>,
    ) -> Result<Response<UpdateRuleResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let edit = rules::update(&request, self.operations.now())?;
        let apply = |rule: &mut _| edit.apply(rule);
        let rule = self
            .operations
            .update_rule(&caller, edit.id, edit.etag, apply)
            .await??;
        Ok(Response::new(UpdateRuleResponse {
            rule: Some(render::rules::rule(&rule)),
        }))
    }

    async fn delete_rule(
        &self,
        request: Request<DeleteRuleRequest>,
    ) -> Result<Response<DeleteRuleResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let (id, etag) = self.target(&request.rule_id, &request.etag)?;
        self.operations.delete_rule(&caller, id, etag).await?;
        Ok(Response::new(DeleteRuleResponse {}))
    }

    async fn list_alerts(
        &self,
        request: Request<ListAlertsRequest>,
    ) -> Result<Response<ListAlertsResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let mut reader = Reader::new(self.operations.now());
        let filter = filters::alerts(&mut reader, &request);
        let size = reader.page_size(request.page_size);
        reader.finish()?;
        let bound = ("alerts", &filter);
        let before = page::decode::<Uuid>(&request.page_token, &bound)?;
        let listed = self
            .operations
            .list_alerts(&caller, before, &filter, size + 1)
            .await?;
        let (alerts, next) =
            answer::page(listed, size, render::rules::alert, |alert| alert.id.uuid());
        Ok(Response::new(ListAlertsResponse {
            alerts,
            next_page_token: next
                .map(|key| page::encode(&key, &bound))
                .unwrap_or_default(),
        }))
    }
}
