//! API keys: create, get, list, revoke.

use chrono::{DateTime, Utc};
use reeve_auth::{self as auth, Caller, PrincipalKind, permissions};
use reeve_events::Actor;
use reeve_ids::{ApiKeyId, TenantId, Uuid};

use super::{Context, events, repeat};
use crate::domain::api_key::{ApiKey, KeyKind};
use crate::error::Error;
use crate::storage::api_keys::{self, Selection};
use crate::storage::{self, requests};

/// A key to make.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Name for people.
    pub name: String,
    /// What sort of caller presents it.
    pub kind: KeyKind,
    /// Patterns of the permissions it holds.
    pub permissions: Vec<String>,
    /// When it stops being valid.
    pub expire_time: Option<DateTime<Utc>>,
    /// How a repetition is recognised.
    pub request: Option<requests::RequestKey>,
}

/// Makes a key in the caller's tenant; its text only the first time.
pub async fn create(
    context: &Context,
    caller: &Caller,
    new: NewKey,
) -> Result<(ApiKey, Option<auth::ApiKey>), Error> {
    check_held(caller, &new.permissions)?;
    let (tenant, now) = (caller.tenant(), context.now());
    let mut tx = context.database.tenant(tenant).await?;
    // An agent with a person's key could approve and close what only a person may.
    if caller.principal.kind == PrincipalKind::Agent && new.kind == KeyKind::User {
        return Err(Error::UserKeyByAgent);
    }
    if let Some(earlier) = repeat::earlier(&mut tx, tenant, new.request.as_ref(), now).await? {
        let id = ApiKeyId::from_uuid(earlier.resource_id);
        let key = api_keys::get(&mut tx, tenant, id)
            .await?
            .ok_or_else(|| no_key(id))?;
        return Ok((key, None));
    }
    if new.expire_time.is_some_and(|time| time <= now) {
        return Err(Error::ExpiresInThePast);
    }
    let secret = auth::ApiKey::generate();
    let key = ApiKey {
        id: secret.id(),
        tenant_id: tenant,
        name: new.name,
        kind: new.kind,
        permissions: new.permissions,
        created_by: caller.principal.subject.clone(),
        create_time: now,
        expire_time: new.expire_time,
        revoke_time: None,
        last_use_time: None,
    };
    let hash = context.credentials.hash(&secret);
    api_keys::insert(&mut tx, &key, &hash)
        .await
        .map_err(|error| taken(error, &key))?;
    if let Some(request) = &new.request {
        requests::complete(&mut tx, tenant, request, key.id.uuid(), 0).await?;
    }
    let event = events::api_key_created(&key, &Actor::from(caller), now);
    context.commit(tx, vec![event]).await?;
    Ok((key, Some(secret)))
}

/// Nobody grants what they do not hold. Reeve's own services hold everything.
fn check_held(caller: &Caller, patterns: &[String]) -> Result<(), Error> {
    let principal = &caller.principal;
    let lacks = |pattern: &&String| {
        principal.kind != PrincipalKind::Service
            && !permissions::covers(&principal.permissions, pattern)
    };
    let lacking: Vec<String> = patterns.iter().filter(lacks).cloned().collect();
    if lacking.is_empty() {
        Ok(())
    } else {
        Err(Error::NotHeld(lacking))
    }
}

fn taken(error: storage::Error, key: &ApiKey) -> Error {
    match Error::from(error) {
        Error::Database(reeve_postgres::Error::UniqueViolation { constraint })
            if constraint == "api_key_name_in_use" =>
        {
            Error::Exists {
                kind: "api_key",
                name: key.name.clone(),
            }
        }
        other => other,
    }
}

fn no_key(id: ApiKeyId) -> Error {
    Error::NotFound {
        kind: "api_key",
        id: id.to_string(),
    }
}

/// Reads a key.
pub async fn get(context: &Context, tenant: TenantId, id: ApiKeyId) -> Result<ApiKey, Error> {
    let mut tx = context.database.tenant(tenant).await?;
    api_keys::get(&mut tx, tenant, id)
        .await?
        .ok_or_else(|| no_key(id))
}

/// Reads the keys after an id, in order of id.
pub async fn list(
    context: &Context,
    tenant: TenantId,
    after: Option<Uuid>,
    selection: &Selection,
    limit: i64,
) -> Result<Vec<ApiKey>, Error> {
    let mut tx = context.database.tenant(tenant).await?;
    Ok(api_keys::list(&mut tx, tenant, after, selection, context.now(), limit).await?)
}

/// Makes a key worthless for good. One that already is stays as it is.
pub async fn revoke(context: &Context, caller: &Caller, id: ApiKeyId) -> Result<ApiKey, Error> {
    let (tenant, now) = (caller.tenant(), context.now());
    let mut tx = context.database.tenant(tenant).await?;
    let mut key = api_keys::lock(&mut tx, tenant, id)
        .await?
        .ok_or_else(|| no_key(id))?;
    // An agent could shut out everybody who has to approve what it wants.
    if caller.principal.kind == PrincipalKind::Agent && key.kind == KeyKind::User {
        return Err(Error::UserKeyByAgent);
    }
    if key.revoke_time.is_some() {
        return Ok(key);
    }
    key.revoke_time = Some(now);
    api_keys::revoke(&mut tx, tenant, id, now).await?;
    let event = events::api_key_revoked(&key, &Actor::from(caller), now);
    context.commit(tx, vec![event]).await?;
    context.credentials.outdate(id).await;
    Ok(key)
}
