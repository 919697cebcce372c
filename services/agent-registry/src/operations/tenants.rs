//! Tenants: create and list, for the operator's tools.

use chrono::{DateTime, Utc};
use reeve_auth::{self as auth, Caller};
use reeve_events::Actor;
use reeve_ids::{TenantId, Uuid};

use super::{Context, events, repeat};
use crate::domain::api_key::{ApiKey, KeyKind, Tenant};
use crate::error::Error;
use crate::storage::{api_keys, requests, tenants};

/// A tenant to make.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// Its unique name.
    pub name: String,
    /// How a repetition is recognised.
    pub request: Option<requests::RequestKey>,
}

/// A tenant with a key, whose text is known this once.
#[derive(Debug)]
pub struct Created {
    /// The tenant.
    pub tenant: Tenant,
    /// A key that holds everything in it.
    pub key: ApiKey,
    /// The key's text.
    pub secret: auth::ApiKey,
}

/// Makes a tenant and a key that holds everything in it. A repetition makes another such key: the
/// first one's text went with an answer that may be lost, and without one nobody has a way in.
pub async fn create(context: &Context, caller: &Caller, new: NewTenant) -> Result<Created, Error> {
    let (now, actor) = (context.now(), Actor::from(caller));
    // No tenant of a service's token matters here: the operator is one.
    let operator = TenantId::from_uuid(Uuid::nil());
    let request = new.request.as_ref();
    let secret = auth::ApiKey::generate();
    let mut tx = context.database.internal().await?;
    let mut written = Vec::new();
    let (tenant, key_name) = match repeat::earlier(&mut tx, operator, request, now).await? {
        Some(earlier) => {
            let tenant = tenants::get(&mut tx, TenantId::from_uuid(earlier.resource_id)).await?;
            let tenant = tenant.ok_or_else(|| Error::NotFound {
                kind: "tenant",
                id: new.name.clone(),
            })?;
            (tenant, format!("admin {}", secret.id()))
        }
        None => {
            let tenant = Tenant {
                id: TenantId::new(),
                name: new.name,
                create_time: now,
            };
            if !tenants::insert_if_new(&mut tx, &tenant).await? {
                return Err(Error::Exists {
                    kind: "tenant",
                    name: tenant.name,
                });
            }
            if let Some(request) = request {
                requests::complete(&mut tx, operator, request, tenant.id.uuid(), 0).await?;
            }
            written.push(events::tenant_created(&tenant, &actor, now));
            (tenant, "admin".to_owned())
        }
    };
    let key = admin_key(&tenant, key_name, &secret, &actor, now);
    api_keys::insert(&mut tx, &key, &context.credentials.hash(&secret)).await?;
    written.push(events::api_key_created(&key, &actor, now));
    context.commit(tx, written).await?;
    Ok(Created {
        tenant,
        key,
        secret,
    })
}

fn admin_key(
    tenant: &Tenant,
    name: String,
    secret: &auth::ApiKey,
    actor: &Actor,
    now: DateTime<Utc>,
) -> ApiKey {
    ApiKey {
        id: secret.id(),
        tenant_id: tenant.id,
        name,
        kind: KeyKind::User,
        permissions: vec!["*".to_owned()],
        created_by: actor.subject().to_owned(),
        create_time: now,
        expire_time: None,
        revoke_time: None,
        last_use_time: None,
    }
}

/// Reads the tenants after an id, in order of id.
pub async fn list(
    context: &Context,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Tenant>, Error> {
    let mut tx = context.database.internal().await?;
    Ok(tenants::list(&mut tx, after, limit).await?)
}
