//! From requests of IdentityService to operations, with every violation.

use chrono::{DateTime, Utc};
use reeve_auth::permissions;
use reeve_contracts::identity::v1 as proto;
use reeve_ids::ApiKeyId;
use reeve_postgres::page;
use reeve_status::{Fault, Violations};
use serde_json::json;
use uuid::Uuid;

use super::parse;
use crate::config::is_tenant_name;
use crate::domain::api_key::{KeyKind, KeyState};
use crate::operations::api_keys::NewKey;
use crate::operations::tenants::NewTenant;
use crate::storage::api_keys::Selection;

const PERMISSIONS: usize = 64;

pub fn new_key(request: proto::CreateApiKeyRequest, now: DateTime<Utc>) -> Result<NewKey, Fault> {
    let mut violations = Violations::new();
    parse::required(&mut violations, "name", &request.name, parse::NAME_LENGTH);
    violations.check(
        !request.name.contains('\0'),
        "name",
        "must not contain U+0000",
    );
    let kind = kind(&mut violations, request.kind);
    let count = (1..=PERMISSIONS).contains(&request.permissions.len());
    violations.check(count, "permissions", "must have 1 to 64 entries");
    for (at, pattern) in request.permissions.iter().enumerate() {
        let right = "must be \"*\", \"<resource>.*\" or \"<resource>.<verb>\", and not internal";
        let fits = permissions::is_grantable(pattern);
        violations.check(fits, format!("permissions[{at}]"), right);
    }
    let expire_time = request.expire_time.as_ref().and_then(|time| {
        let time = reeve_wellknown::datetime(time);
        violations.check(time.is_some(), "expire_time", "must be a valid timestamp");
        time.map(reeve_clock::to_microseconds)
    });
    let body = json!([request.name, request.kind, request.permissions, expire_time]);
    let request_key =
        parse::request_key(&mut violations, "CreateApiKey", request.request_id, &body);
    // A right request with a request_id may be a repetition, whose key may have expired since; the
    // operation knows.
    if expire_time.is_some_and(|time| time <= now)
        && (request_key.is_none() || !violations.is_empty())
    {
        violations.add("expire_time", "must lie in the future");
    }
    violations.finish()?;
    Ok(NewKey {
        name: request.name,
        kind: kind.ok_or_else(Fault::internal)?,
        permissions: request.permissions,
        expire_time,
        request: request_key,
    })
}

pub fn api_key_id(text: &str) -> Result<ApiKeyId, Fault> {
    let mut violations = Violations::new();
    let id = parse::id(&mut violations, "api_key_id", text);
    violations.finish()?;
    id.ok_or_else(Fault::internal)
}

/// A list: what to select, after which key, how many, and what the next page's token is bound to.
pub struct List {
    pub selection: Selection,
    pub after: Option<Uuid>,
    pub size: i64,
    pub binding: String,
}

pub fn list(request: &proto::ListApiKeysRequest) -> Result<List, Fault> {
    let mut violations = Violations::new();
    violations.check(
        request.page_size >= 0,
        "page_size",
        "must be from 0 to 1000",
    );
    let numbers = request.states.iter().enumerate();
    let mut states: Vec<String> = numbers
        .filter_map(|(at, number)| state(&mut violations, at, *number))
        .map(|state| state.as_str().to_owned())
        .collect();
    states.sort_unstable();
    let kind = match request.kind {
        0 => None,
        number => kind(&mut violations, number).map(|kind| kind.as_str().to_owned()),
    };
    violations.finish()?;
    let binding = json!(["api_keys", states, kind]).to_string();
    let after = page::decode(&request.page_token, &binding)?;
    let states = (!states.is_empty()).then_some(states);
    let size = page::size(request.page_size)?;
    Ok(List {
        selection: Selection { states, kind },
        after,
        size,
        binding,
    })
}

pub fn new_tenant(request: proto::CreateTenantRequest) -> Result<NewTenant, Fault> {
    let mut violations = Violations::new();
    let right = "must be 1 to 63 of a-z, 0-9 and -, beginning with a letter";
    violations.check(is_tenant_name(&request.name), "name", right);
    let body = json!([request.name]);
    let request_id = request.request_id;
    let request_key = parse::request_key(&mut violations, "CreateTenant", request_id, &body);
    violations.finish()?;
    Ok(NewTenant {
        name: request.name,
        request: request_key,
    })
}

fn kind(violations: &mut Violations, number: i32) -> Option<KeyKind> {
    let kind = match proto::PrincipalKind::try_from(number) {
        Ok(proto::PrincipalKind::User) => Some(KeyKind::User),
        Ok(proto::PrincipalKind::Agent) => Some(KeyKind::Agent),
        Ok(proto::PrincipalKind::Service | proto::PrincipalKind::Unspecified) | Err(_) => None,
    };
    violations.check(kind.is_some(), "kind", "must be USER or AGENT");
    kind
}

fn state(violations: &mut Violations, at: usize, number: i32) -> Option<KeyState> {
    let state = match proto::ApiKeyState::try_from(number) {
        Ok(proto::ApiKeyState::Active) => Some(KeyState::Active),
        Ok(proto::ApiKeyState::Expired) => Some(KeyState::Expired),
        Ok(proto::ApiKeyState::Revoked) => Some(KeyState::Revoked),
        Ok(proto::ApiKeyState::Unspecified) | Err(_) => None,
    };
    let right = "must be a known state, and not unspecified";
    violations.check(state.is_some(), format!("states[{at}]"), right);
    state
}
