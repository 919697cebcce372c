//! From tenants, principals and keys to their contract.

use chrono::{DateTime, Utc};
use reeve_auth::{Principal, PrincipalKind};
use reeve_contracts::identity::v1 as proto;
use reeve_wellknown::timestamp;

use crate::domain::api_key::{ApiKey, KeyKind, KeyState, Tenant};

pub fn api_key(key: ApiKey, now: DateTime<Utc>) -> proto::ApiKey {
    let (masked_key, state) = (key.masked(), key.state(now));
    proto::ApiKey {
        id: key.id.to_string(),
        name: key.name,
        kind: match key.kind {
            KeyKind::User => proto::PrincipalKind::User,
            KeyKind::Agent => proto::PrincipalKind::Agent,
        }
        .into(),
        permissions: key.permissions,
        state: match state {
            KeyState::Active => proto::ApiKeyState::Active,
            KeyState::Expired => proto::ApiKeyState::Expired,
            KeyState::Revoked => proto::ApiKeyState::Revoked,
        }
        .into(),
        masked_key,
        created_by: key.created_by,
        create_time: Some(timestamp(key.create_time)),
        expire_time: key.expire_time.map(timestamp),
        revoke_time: key.revoke_time.map(timestamp),
        last_use_time: key.last_use_time.map(timestamp),
    }
}

pub fn principal(principal: Principal) -> proto::Principal {
    proto::Principal {
        tenant_id: principal.tenant_id.to_string(),
        kind: match principal.kind {
            PrincipalKind::User => proto::PrincipalKind::User,
            PrincipalKind::Agent => proto::PrincipalKind::Agent,
            PrincipalKind::Service => proto::PrincipalKind::Service,
        }
        .into(),
        subject: principal.subject,
        display_name: principal.display_name,
        permissions: principal.permissions,
    }
}

pub fn tenant(tenant: Tenant) -> proto::Tenant {
    proto::Tenant {
        id: tenant.id.to_string(),
        name: tenant.name,
        create_time: Some(timestamp(tenant.create_time)),
    }
}
