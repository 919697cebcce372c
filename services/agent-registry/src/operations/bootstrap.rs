//! The first tenant and its first key, from the configuration. Safe to repeat, and safe beside
//! another replica that does the same.

use chrono::{DateTime, Utc};
use reeve_auth as auth;
use reeve_events::{Actor, NewEvent};
use reeve_ids::TenantId;
use sqlx::PgConnection;

use super::{Context, SERVICE, events};
use crate::domain::api_key::{ApiKey, KeyKind, Tenant};
use crate::error::Error;
use crate::storage::{api_keys, tenants};

/// Who made a configured key.
const CREATED_BY: &str = "bootstrap";

/// Makes the tenant and, if one is configured, its key, unless they are there. A key that was
/// revoked stays revoked.
pub async fn ensure(
    context: &Context,
    tenant_name: &str,
    admin_key: Option<&auth::ApiKey>,
) -> Result<(), Error> {
    let (now, actor) = (context.now(), Actor::service(SERVICE));
    let mut tx = context.database.internal().await?;
    let mut written = Vec::new();
    let tenant = ensure_tenant(&mut tx, tenant_name, &actor, now, &mut written).await?;
    if let Some(secret) = admin_key {
        let hash = context.credentials.hash(secret);
        match api_keys::resolve_in(&mut tx, secret.id()).await? {
            Some((key, _)) if key.tenant_id != tenant.id => {
                tracing::error!(api_key = %key.id, "bootstrap.admin_key belongs to another tenant");
            }
            Some((key, _)) => {
                if key.revoke_time.is_some() {
                    tracing::warn!(api_key = %key.id, "bootstrap.admin_key is revoked");
                }
                api_keys::rehash(&mut tx, key.id, &hash).await?;
            }
            None => {
                let key = configured(&tenant, secret, now);
                api_keys::insert(&mut tx, &key, &hash).await?;
                written.push(events::api_key_created(&key, &actor, now));
            }
        }
    }
    context.commit(tx, written).await
}

async fn ensure_tenant(
    connection: &mut PgConnection,
    name: &str,
    actor: &Actor,
    now: DateTime<Utc>,
    written: &mut Vec<NewEvent>,
) -> Result<Tenant, Error> {
    let fresh = Tenant {
        id: TenantId::new(),
        name: name.to_owned(),
        create_time: now,
    };
    if tenants::insert_if_new(&mut *connection, &fresh).await? {
        written.push(events::tenant_created(&fresh, actor, now));
        return Ok(fresh);
    }
    let found = tenants::by_name(connection, name).await?;
    found.ok_or_else(|| Error::NotFound {
        kind: "tenant",
        id: name.to_owned(),
    })
}

/// The id is part of the name, so that another configured key meets no taken name.
fn configured(tenant: &Tenant, secret: &auth::ApiKey, now: DateTime<Utc>) -> ApiKey {
    ApiKey {
        id: secret.id(),
        tenant_id: tenant.id,
        name: format!("admin {}", secret.id()),
        kind: KeyKind::User,
        permissions: vec!["*".to_owned()],
        created_by: CREATED_BY.to_owned(),
        create_time: now,
        expire_time: None,
        revoke_time: None,
        last_use_time: None,
    }
}
