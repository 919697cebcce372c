//! Rows as PostgreSQL has them, and the way to the domain: the one place that can find a row
//! corrupt.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{AgentId, ApiKeyId, TenantId, Uuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use crate::domain::agent::{Agent, Capability, Spec};
use crate::domain::api_key::{ApiKey, KeyKind, Tenant};
use crate::domain::state::AgentState;
use crate::domain::workload::{HealthCheck, HealthStatus, Heard, Status, Workload};

/// A row holds what no version of this service writes.
#[derive(Debug, thiserror::Error)]
#[error("corrupt row {table} {id}: {column} is {value:?}")]
pub struct Corrupt {
    table: &'static str,
    id: Uuid,
    column: &'static str,
    value: String,
}

/// A row of `agent`.
#[derive(Debug, FromRow)]
pub struct AgentRow {
    id: Uuid,
    tenant_id: Uuid,
    name: String,
    r#type: String,
    model_id: String,
    state: String,
    state_reason: String,
    capabilities: Json<Vec<CapabilityJson>>,
    max_concurrent_tasks: i32,
    labels: Json<BTreeMap<String, String>>,
    metadata: Value,
    epoch: i64,
    version: i64,
    registered_by: String,
    create_time: DateTime<Utc>,
    update_time: DateTime<Utc>,
    register_time: DateTime<Utc>,
    transition_time: DateTime<Utc>,
}

/// A row of `agent` with what its heartbeats said.
#[derive(Debug, FromRow)]
pub struct AgentViewRow {
    #[sqlx(flatten)]
    agent: AgentRow,
    #[sqlx(flatten)]
    status: StatusColumns,
}

/// The columns of `agent_status`, beside an agent that may have none.
#[derive(Debug, FromRow)]
pub struct StatusColumns {
    last_heartbeat_time: Option<DateTime<Utc>>,
    workload: Option<Json<WorkloadJson>>,
    workload_time: Option<DateTime<Utc>>,
    health_checks: Option<Json<Vec<HealthCheckJson>>>,
    health_checks_time: Option<DateTime<Utc>>,
}

/// What a heartbeat must be compared with.
#[derive(Debug, FromRow)]
pub struct MemberRow {
    id: Uuid,
    tenant_id: Uuid,
    epoch: i64,
    state: String,
    version: i64,
    #[sqlx(flatten)]
    status: StatusColumns,
}

/// What is stored of an agent, for heartbeats.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The agent.
    pub id: AgentId,
    /// Its tenant.
    pub tenant_id: TenantId,
    /// Its current process.
    pub epoch: i64,
    /// Its state.
    pub state: AgentState,
    /// Its version.
    pub version: i64,
    /// What its heartbeats said.
    pub status: Status,
}

/// A capability in `agent.capabilities`.
#[derive(Debug, Serialize, Deserialize)]
pub struct CapabilityJson {
    name: String,
    version: String,
    attributes: Value,
}

/// The load in `agent_status.workload`.
#[derive(Debug, Serialize, Deserialize)]
pub struct WorkloadJson {
    cpu_utilization: f64,
    memory_bytes: i64,
    active_task_count: i32,
    queue_length: i32,
    success_rate: Option<f64>,
    error_rate: Option<f64>,
    average_processing_us: Option<i64>,
}

/// A check in `agent_status.health_checks`.
#[derive(Debug, Serialize, Deserialize)]
pub struct HealthCheckJson {
    name: String,
    status: String,
    message: String,
    check_time: DateTime<Utc>,
}

/// A row of `tenant`.
#[derive(Debug, FromRow)]
pub struct TenantRow {
    id: Uuid,
    name: String,
    create_time: DateTime<Utc>,
}

/// A row of `api_key`, without the hash.
#[derive(Debug, FromRow)]
pub struct ApiKeyRow {
    id: Uuid,
    tenant_id: Uuid,
    name: String,
    kind: String,
    permissions: Vec<String>,
    created_by: String,
    create_time: DateTime<Utc>,
    expire_time: Option<DateTime<Utc>>,
    revoke_time: Option<DateTime<Utc>>,
    last_use_time: Option<DateTime<Utc>>,
}

/// A row of `api_key` with the hash, for authentication alone.
#[derive(FromRow)]
pub struct SecretRow {
    #[sqlx(flatten)]
    key: ApiKeyRow,
    secret_hash: Vec<u8>,
}

impl TryFrom<AgentRow> for Agent {
    type Error = Corrupt;

    fn try_from(row: AgentRow) -> Result<Self, Corrupt> {
        Ok(Self {
            id: AgentId::from_uuid(row.id),
            tenant_id: TenantId::from_uuid(row.tenant_id),
            name: row.name,
            spec: Spec {
                kind: row.r#type,
                model_id: row.model_id,
                capabilities: row.capabilities.0.into_iter().map(Into::into).collect(),
                max_concurrent_tasks: row.max_concurrent_tasks,
                labels: row.labels.0,
                metadata: row.metadata,
            },
            state: state(row.id, &row.state)?,
            state_reason: row.state_reason,
            epoch: row.epoch,
            version: row.version,
            registered_by: row.registered_by,
            create_time: row.create_time,
            update_time: row.update_time,
            register_time: row.register_time,
            transition_time: row.transition_time,
        })
    }
}

impl TryFrom<AgentViewRow> for (Agent, Status) {
    type Error = Corrupt;

    fn try_from(row: AgentViewRow) -> Result<Self, Corrupt> {
        let status = row.status.status(row.agent.id)?;
        Ok((row.agent.try_into()?, status))
    }
}

impl TryFrom<MemberRow> for Member {
    type Error = Corrupt;

    fn try_from(row: MemberRow) -> Result<Self, Corrupt> {
        Ok(Self {
            id: AgentId::from_uuid(row.id),
            tenant_id: TenantId::from_uuid(row.tenant_id),
            epoch: row.epoch,
            state: state(row.id, &row.state)?,
            version: row.version,
            status: row.status.status(row.id)?,
        })
    }
}

impl StatusColumns {
    fn status(self, id: Uuid) -> Result<Status, Corrupt> {
        let checks = self.health_checks.map(|checks| {
            let checks = checks.0.into_iter().map(|check| check.check(id));
            checks.collect::<Result<_, _>>()
        });
        Ok(Status {
            last_heartbeat_time: self.last_heartbeat_time,
            workload: heard(self.workload.map(|load| load.0.into()), self.workload_time),
            health_checks: heard(checks.transpose()?, self.health_checks_time),
        })
    }
}

fn heard<T>(value: Option<T>, time: Option<DateTime<Utc>>) -> Option<Heard<T>> {
    let (value, time) = value.zip(time)?;
    Some(Heard { time, value })
}

impl From<CapabilityJson> for Capability {
    fn from(json: CapabilityJson) -> Self {
        Self {
            name: json.name,
            version: json.version,
            attributes: json.attributes,
        }
    }
}

/// What `agent.capabilities` holds.
pub fn capabilities_json(capabilities: &[Capability]) -> Json<Vec<CapabilityJson>> {
    let json = capabilities.iter().map(|capability| CapabilityJson {
        name: capability.name.clone(),
        version: capability.version.clone(),
        attributes: capability.attributes.clone(),
    });
    Json(json.collect())
}

impl From<WorkloadJson> for Workload {
    fn from(json: WorkloadJson) -> Self {
        Self {
            cpu_utilization: json.cpu_utilization,
            memory_bytes: json.memory_bytes,
            active_task_count: json.active_task_count,
            queue_length: json.queue_length,
            success_rate: json.success_rate,
            error_rate: json.error_rate,
            average_processing: json.average_processing_us.map(TimeDelta::microseconds),
        }
    }
}

impl From<&Workload> for WorkloadJson {
    fn from(workload: &Workload) -> Self {
        Self {
            cpu_utilization: workload.cpu_utilization,
            memory_bytes: workload.memory_bytes,
            active_task_count: workload.active_task_count,
            queue_length: workload.queue_length,
            success_rate: workload.success_rate,
            error_rate: workload.error_rate,
            average_processing_us: workload
                .average_processing
                .and_then(|span| span.num_microseconds()),
        }
    }
}

impl HealthCheckJson {
    /// What `agent_status.health_checks` holds.
    pub fn all(checks: &[HealthCheck]) -> Vec<Self> {
        checks.iter().map(Self::from).collect()
    }

    fn check(self, id: Uuid) -> Result<HealthCheck, Corrupt> {
        let status = HealthStatus::from_word(&self.status).ok_or_else(|| Corrupt {
            table: "agent_status",
            id,
            column: "health_checks",
            value: self.status.clone(),
        })?;
        Ok(HealthCheck {
            name: self.name,
            status,
            message: self.message,
            check_time: self.check_time,
        })
    }
}

impl From<&HealthCheck> for HealthCheckJson {
    fn from(check: &HealthCheck) -> Self {
        Self {
            name: check.name.clone(),
            status: check.status.as_str().to_owned(),
            message: check.message.clone(),
            check_time: check.check_time,
        }
    }
}

impl From<TenantRow> for Tenant {
    fn from(row: TenantRow) -> Self {
        Self {
            id: TenantId::from_uuid(row.id),
            name: row.name,
            create_time: row.create_time,
        }
    }
}

impl TryFrom<ApiKeyRow> for ApiKey {
    type Error = Corrupt;

    fn try_from(row: ApiKeyRow) -> Result<Self, Corrupt> {
        let kind = KeyKind::from_word(&row.kind).ok_or_else(|| Corrupt {
            table: "api_key",
            id: row.id,
            column: "kind",
            value: row.kind.clone(),
        })?;
        Ok(Self {
            id: ApiKeyId::from_uuid(row.id),
            tenant_id: TenantId::from_uuid(row.tenant_id),
            name: row.name,
            kind,
            permissions: row.permissions,
            created_by: row.created_by,
            create_time: row.create_time,
            expire_time: row.expire_time,
            revoke_time: row.revoke_time,
            last_use_time: row.last_use_time,
        })
    }
}

impl TryFrom<SecretRow> for (ApiKey, Vec<u8>) {
    type Error = Corrupt;

    fn try_from(row: SecretRow) -> Result<Self, Corrupt> {
        Ok((row.key.try_into()?, row.secret_hash))
    }
}

fn state(id: Uuid, word: &str) -> Result<AgentState, Corrupt> {
    AgentState::from_word(word).ok_or_else(|| Corrupt {
        table: "agent",
        id,
        column: "state",
        value: word.to_owned(),
    })
}
