//! Tenants: create and list, for the operator's tools.

use reeve_auth::{self as auth, Caller};
use reeve_events::Actor;
use reeve_ids::{TenantId, Uuid};

use super::{Context, events};
use crate::domain::api_key::{ApiKey, KeyKind, Tenant};
use crate::error::Error;
use crate::storage::{api_keys, tenants};

/// A new tenant with its first key, whose text is known this once.
#[derive(Debug)]
pub struct Created {
    /// The tenant.
    pub tenant: Tenant,
    /// Its first key.
    pub key: ApiKey,
    /// The key's text.
    pub secret: auth::ApiKey,
}

/// Makes a tenant and a key that holds everything in it.
pub async fn create(context: &Context, caller: &Caller, name: String) -> Result<Created, Error> {
    let (now, actor) = (context.now(), Actor::from(caller));
    let tenant = Tenant {
        id: TenantId::new(),
        name,
        create_time: now,
    };
    let secret = auth::ApiKey::generate();
    let key = ApiKey {
        id: secret.id(),
        tenant_id: tenant.id,
        name: "admin".to_owned(),
        kind: KeyKind::User,
        permissions: vec!["*".to_owned()],
        created_by: actor.subject().to_owned(),
        create_time: now,
        expire_time: None,
        revoke_time: None,
        last_use_time: None,
    };
    let mut tx = context.database.internal().await?;
    if !tenants::insert_if_new(&mut tx, &tenant).await? {
        return Err(Error::Exists {
            kind: "tenant",
            name: tenant.name,
        });
    }
    api_keys::insert(&mut tx, &key, &context.credentials.hash(&secret)).await?;
    let written = vec![
        events::tenant_created(&tenant, &actor, now),
        events::api_key_created(&key, &actor, now),
    ];
    context.commit(tx, written).await?;
    Ok(Created {
        tenant,
        key,
        secret,
    })
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
