//! `reeve.identity.v1.IdentityService`.

use std::sync::Arc;

use reeve_auth::Caller;
use reeve_contracts::identity::v1 as proto;
use reeve_contracts::identity::v1::identity_service_server::IdentityService;
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_wellknown::timestamp;
use tonic::{Request, Response, Status};

use super::{parse_identity as parse, render_identity as render};
use crate::domain::api_key::{ApiKey, Tenant};
use crate::operations::{Context, api_keys, tenants};

/// What a page token of ListTenants is bound to.
const TENANTS: &str = "tenants";

/// Serves tenants and credentials.
#[derive(Clone)]
pub struct IdentityApi {
    context: Arc<Context>,
}

impl IdentityApi {
    /// The full name of the gRPC service.
    pub const NAME: &'static str = "reeve.identity.v1.IdentityService";

    /// The RPCs over a context.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

#[tonic::async_trait]
impl IdentityService for IdentityApi {
    async fn create_api_key(
        &self,
        request: Request<proto::CreateApiKeyRequest>,
    ) -> Result<Response<proto::CreateApiKeyResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let now = self.context.now();
        let new = parse::new_key(request.into_inner(), now)?;
        let (key, secret) = api_keys::create(&self.context, &caller, new).await?;
        Ok(Response::new(proto::CreateApiKeyResponse {
            api_key: Some(render::api_key(key, now)),
            secret: secret.map(|secret| secret.reveal()).unwrap_or_default(),
        }))
    }

    async fn get_api_key(
        &self,
        request: Request<proto::GetApiKeyRequest>,
    ) -> Result<Response<proto::GetApiKeyResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let id = parse::api_key_id(&request.into_inner().api_key_id)?;
        let key = api_keys::get(&self.context, caller.tenant(), id).await?;
        let api_key = Some(render::api_key(key, self.context.now()));
        Ok(Response::new(proto::GetApiKeyResponse { api_key }))
    }

    async fn list_api_keys(
        &self,
        request: Request<proto::ListApiKeysRequest>,
    ) -> Result<Response<proto::ListApiKeysResponse>, Status> {
        let tenant = Caller::from_request(&request)?.tenant();
        let list = parse::list(request.get_ref())?;
        let (after, selection, limit) = (list.after, &list.selection, list.size + 1);
        let keys = api_keys::list(&self.context, tenant, after, selection, limit).await?;
        let now = self.context.now();
        let rendered = |key: &ApiKey| render::api_key(key.clone(), now);
        let (api_keys, next) = answer::page(keys, list.size, rendered, |key| key.id.uuid());
        Ok(Response::new(proto::ListApiKeysResponse {
            api_keys,
            next_page_token: next
                .map(|k| page::encode(&k, &list.binding))
                .unwrap_or_default(),
        }))
    }

    async fn revoke_api_key(
        &self,
        request: Request<proto::RevokeApiKeyRequest>,
    ) -> Result<Response<proto::RevokeApiKeyResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let id = parse::api_key_id(&request.into_inner().api_key_id)?;
        let key = api_keys::revoke(&self.context, &caller, id).await?;
        let api_key = Some(render::api_key(key, self.context.now()));
        Ok(Response::new(proto::RevokeApiKeyResponse { api_key }))
    }

    async fn get_caller(
        &self,
        request: Request<proto::GetCallerRequest>,
    ) -> Result<Response<proto::GetCallerResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let principal = Some(render::principal(caller.principal));
        Ok(Response::new(proto::GetCallerResponse { principal }))
    }

    async fn resolve_api_key(
        &self,
        request: Request<proto::ResolveApiKeyRequest>,
    ) -> Result<Response<proto::ResolveApiKeyResponse>, Status> {
        let resolved = self
            .context
            .credentials
            .resolve(&request.into_inner().api_key)
            .await?;
        Ok(Response::new(proto::ResolveApiKeyResponse {
            principal: Some(render::principal(resolved.principal)),
            expire_time: resolved.expire_time.map(timestamp),
        }))
    }

    async fn create_tenant(
        &self,
        request: Request<proto::CreateTenantRequest>,
    ) -> Result<Response<proto::CreateTenantResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let new = parse::new_tenant(request.into_inner())?;
        let created = tenants::create(&self.context, &caller, new).await?;
        Ok(Response::new(proto::CreateTenantResponse {
            tenant: Some(render::tenant(created.tenant)),
            api_key: Some(render::api_key(created.key, self.context.now())),
            secret: created.secret.reveal(),
        }))
    }

    async fn list_tenants(
        &self,
        request: Request<proto::ListTenantsRequest>,
    ) -> Result<Response<proto::ListTenantsResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size)?;
        let after = page::decode(&request.page_token, &TENANTS)?;
        let found = tenants::list(&self.context, after, size + 1).await?;
        let rendered = |tenant: &Tenant| render::tenant(tenant.clone());
        let (tenants, next) = answer::page(found, size, rendered, |tenant| tenant.id.uuid());
        Ok(Response::new(proto::ListTenantsResponse {
            tenants,
            next_page_token: next
                .map(|key| page::encode(&key, &TENANTS))
                .unwrap_or_default(),
        }))
    }
}
