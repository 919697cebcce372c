//! What other services are told. The keys are part of the service's contract: README.md lists them.

use chrono::{DateTime, Utc};
use reeve_events::{Actor, NewEvent};
use reeve_ids::{GateId, TenantId, Uuid};
use serde_json::{Map, Value as Json, json};

use crate::domain::{
    AttemptEnd, Brake, Delegation, Discard, Gate, GateAsk, Limit, NewTask, Origin, Said, Selector,
    Settled, State, Task, Usage,
};
use crate::storage::{AdvancedRow, CompletedRow, Facts, LockedRow, Unadmitted};

/// `task.created`.
pub fn created(task: &NewTask, actor: &Actor) -> NewEvent {
    let spec = &task.spec;
    let mut data = Map::new();
    data.insert("type".into(), json!(spec.kind));
    data.insert("queue".into(), json!(spec.queue));
    data.insert("capability".into(), json!(spec.capability));
    data.insert("priority".into(), json!(spec.priority.word()));
    put_project(&mut data, spec.project_id.map(reeve_ids::ProjectId::uuid));
    put_origin(&mut data, spec.origin.as_ref());
    if !spec.labels.is_empty() {
        data.insert("labels".into(), json!(spec.labels));
    }
    if let Some(parent) = spec.parent_task_id {
        data.insert("parent_task_id".into(), json!(parent));
    }
    if let Some(budget) = &spec.budget {
        data.insert("budget_id".into(), json!(budget.id));
    }
    event(
        task.tenant_id,
        actor,
        task.create_time,
        "task.created",
        task.id.uuid(),
        data,
    )
}

/// `task.assigned`, and `task.started` when the lease starts the task.
pub fn assigned(
    task: &Task,
    version: Option<&str>,
    actor: &Actor,
    now: DateTime<Utc>,
    start: bool,
) -> impl Iterator<Item = NewEvent> + use<> {
    let spec = &task.spec;
    let mut data = Map::new();
    data.insert("agent_id".into(), json!(task.agent_id));
    data.insert("attempt".into(), json!(task.attempt));
    if let Some(version) = version {
        data.insert("capability_version".into(), json!(version));
    }
    data.insert("type".into(), json!(spec.kind));
    put_project(&mut data, spec.project_id.map(reeve_ids::ProjectId::uuid));
    put_origin(&mut data, spec.origin.as_ref());
    let id = task.id.uuid();
    let started =
        start.then(|| event(task.tenant_id, actor, now, "task.started", id, data.clone()));
    let assigned = event(task.tenant_id, actor, now, "task.assigned", id, data);
    std::iter::once(assigned).chain(started)
}

/// `task.accepted` or `task.started`.
pub fn advanced(
    row: &AdvancedRow,
    tenant: TenantId,
    actor: &Actor,
    now: DateTime<Utc>,
) -> NewEvent {
    let mut data = of_facts(&row.facts, row.hold_id);
    data.insert("agent_id".into(), json!(row.agent_id));
    data.insert("attempt".into(), json!(row.attempt));
    let started = row.target == State::InProgress.number();
    let kind = if started {
        "task.started"
    } else {
        "task.accepted"
    };
    event(tenant, actor, now, kind, row.task_id, data)
}

/// `task.completed`.
pub fn completed(row: &CompletedRow, actor: &Actor, now: DateTime<Utc>) -> NewEvent {
    let mut data = of_facts(&row.facts, row.hold_id);
    data.insert("agent_id".into(), json!(row.agent_id));
    data.insert("attempt".into(), json!(row.attempt));
    put_usage(&mut data, row.usage.as_ref().map(|usage| &usage.0));
    put_times(&mut data, row.start_time.or(row.assign_time), now);
    event(
        TenantId::from_uuid(row.tenant_id),
        actor,
        now,
        "task.completed",
        row.task_id,
        data,
    )
}

/// What ended an attempt otherwise, or a wait: one event, named by how it ended.
pub fn settled(
    row: &LockedRow,
    settled: &Settled,
    usage: Option<&Vec<Usage>>,
    cancel_reason: Option<&str>,
    actor: &Actor,
    now: DateTime<Utc>,
) -> NewEvent {
    let mut data = of_facts(&row.facts, row.hold_id);
    if settled.end.is_some() {
        data.insert("agent_id".into(), json!(row.agent_id));
    }
    data.insert("attempt".into(), json!(row.attempt));
    data.insert("state".into(), json!(settled.state.word()));
    data.insert("retry".into(), json!(settled.state == State::Pending));
    data.insert("dead".into(), json!(settled.dead));
    if let Some(kind) = settled.gate {
        data.insert("gate_kind".into(), json!(kind.word()));
    }
    if let Some(error) = &settled.error {
        data.insert("error_code".into(), json!(error.code));
        data.insert("error_message".into(), json!(error.message));
    }
    if let Some(rule) = settled.rule {
        data.insert("retry_rule".into(), json!(rule));
    }
    if let Some(ready) = settled.ready_time {
        data.insert("ready_time".into(), json!(ready));
    }
    if row.offered {
        data.insert("delegation_id".into(), json!(row.delegation_id));
    }
    let rejection = settled
        .error
        .as_ref()
        .filter(|_| settled.end == Some(AttemptEnd::Rejected));
    if let Some(reason) = cancel_reason.or(rejection.map(|error| error.message.as_str())) {
        data.insert("reason".into(), json!(reason));
    }
    put_usage(&mut data, usage);
    if settled.end.is_some() {
        put_times(&mut data, row.start_time.or(row.assign_time), now);
    }
    let tenant = TenantId::from_uuid(row.tenant_id);
    event(tenant, actor, now, kind_of(settled), row.task_id, data)
}

fn kind_of(settled: &Settled) -> &'static str {
    match (settled.state, settled.end) {
        (State::Cancelled, _) => "task.cancelled",
        (State::Completed, _) => "task.completed",
        (State::Failed, _) | (_, Some(AttemptEnd::Failed)) => "task.failed",
        (State::Timeout, _) | (_, Some(AttemptEnd::Timeout)) => "task.timed_out",
        (_, Some(AttemptEnd::Rejected)) => "task.rejected",
        (_, Some(AttemptEnd::Returned)) => "task.returned",
        (_, Some(AttemptEnd::Suspended)) => "task.suspended",
        (State::Pending, None) => "task.offer_lapsed",
        _ => "task.lease_lost",
    }
}

/// `task.gate_opened`.
pub fn gate_opened(
    row: &LockedRow,
    (id, ask): (GateId, &GateAsk),
    actor: &Actor,
    now: DateTime<Utc>,
) -> NewEvent {
    let mut data = of_facts(&row.facts, row.hold_id);
    data.insert("agent_id".into(), json!(row.agent_id));
    data.insert("attempt".into(), json!(row.attempt));
    data.insert("gate_id".into(), json!(id));
    data.insert("gate_kind".into(), json!(ask.kind.word()));
    data.insert("prompt".into(), json!(ask.prompt));
    if let Some((span, _)) = ask.expire {
        data.insert("expire_time".into(), json!(now + span));
    }
    let tenant = TenantId::from_uuid(row.tenant_id);
    event(tenant, actor, now, "task.gate_opened", row.task_id, data)
}

/// `task.gate_answered`. What was answered may be a secret and is left out.
pub fn gate_answered(
    row: &LockedRow,
    gate: &Gate,
    said: &Said,
    actor: &Actor,
    now: DateTime<Utc>,
) -> NewEvent {
    let mut data = of_gate(row, gate);
    if let Said::Decision(decision) = said {
        data.insert("decision".into(), json!(decision.word()));
    }
    let tenant = TenantId::from_uuid(row.tenant_id);
    event(tenant, actor, now, "task.gate_answered", row.task_id, data)
}

/// `task.gate_expired`.
pub fn gate_expired(row: &LockedRow, gate: &Gate, actor: &Actor, now: DateTime<Utc>) -> NewEvent {
    let data = of_gate(row, gate);
    let tenant = TenantId::from_uuid(row.tenant_id);
    event(tenant, actor, now, "task.gate_expired", row.task_id, data)
}

fn of_gate(row: &LockedRow, gate: &Gate) -> Map<String, Json> {
    let mut data = of_facts(&row.facts, row.hold_id);
    data.insert("attempt".into(), json!(row.attempt));
    data.insert("gate_id".into(), json!(gate.id));
    data.insert("gate_kind".into(), json!(gate.kind.word()));
    data
}

/// `task.delegated`: the delivery of the one who hands the task on has ended.
pub fn delegated(
    row: &LockedRow,
    delegation: &Delegation,
    usage: Option<&Vec<Usage>>,
    actor: &Actor,
) -> NewEvent {
    let now = delegation.time;
    let mut data = of_facts(&row.facts, row.hold_id);
    data.insert("agent_id".into(), json!(delegation.from));
    data.insert("attempt".into(), json!(row.attempt));
    data.insert("state".into(), json!(State::Assigned.word()));
    data.insert("delegation_id".into(), json!(delegation.id));
    data.insert("from".into(), json!(delegation.from));
    data.insert("to".into(), json!(delegation.to));
    data.insert("delegation_type".into(), json!(delegation.kind.word()));
    data.insert("reason".into(), json!(delegation.reason));
    put_usage(&mut data, usage);
    put_times(&mut data, row.start_time.or(row.assign_time), now);
    event(
        delegation.tenant_id,
        actor,
        now,
        "task.delegated",
        row.task_id,
        data,
    )
}

/// `task.cancel_requested`.
pub fn cancel_requested(
    row: &LockedRow,
    reason: &str,
    actor: &Actor,
    now: DateTime<Utc>,
) -> NewEvent {
    let mut data = of_facts(&row.facts, row.hold_id);
    data.insert("agent_id".into(), json!(row.agent_id));
    data.insert("attempt".into(), json!(row.attempt));
    data.insert("reason".into(), json!(reason));
    let tenant = TenantId::from_uuid(row.tenant_id);
    event(
        tenant,
        actor,
        now,
        "task.cancel_requested",
        row.task_id,
        data,
    )
}

/// `task.over_budget`.
pub fn over_budget(task: &Unadmitted, actor: &Actor, now: DateTime<Utc>) -> NewEvent {
    let mut data = of_facts(&task.facts, None);
    data.insert("attempt".into(), json!(task.attempt));
    let tenant = TenantId::from_uuid(task.tenant_id);
    event(tenant, actor, now, "task.over_budget", task.task_id, data)
}

/// `task.redriven`.
pub fn redriven(task: &Task, actor: &Actor, now: DateTime<Utc>) -> NewEvent {
    let mut data = Map::new();
    data.insert("type".into(), json!(task.spec.kind));
    data.insert("attempt".into(), json!(task.attempt));
    data.insert("from".into(), json!(task.state.word()));
    put_project(
        &mut data,
        task.spec.project_id.map(reeve_ids::ProjectId::uuid),
    );
    put_origin(&mut data, task.spec.origin.as_ref());
    event(
        task.tenant_id,
        actor,
        now,
        "task.redriven",
        task.id.uuid(),
        data,
    )
}

/// `task.discarded`.
pub fn discarded(task: &Task, discard: &Discard, actor: &Actor) -> NewEvent {
    let spec = &task.spec;
    let mut data = Map::new();
    data.insert("type".into(), json!(spec.kind));
    data.insert("queue".into(), json!(spec.queue));
    data.insert("state".into(), json!(task.state.word()));
    data.insert("reason".into(), json!(discard.reason));
    put_project(&mut data, spec.project_id.map(reeve_ids::ProjectId::uuid));
    put_origin(&mut data, spec.origin.as_ref());
    if !spec.labels.is_empty() {
        data.insert("labels".into(), json!(spec.labels));
    }
    event(
        task.tenant_id,
        actor,
        discard.time,
        "task.discarded",
        task.id.uuid(),
        data,
    )
}

/// `queue.paused` or `brake.set`.
pub fn braked(brake: &Brake, actor: &Actor) -> NewEvent {
    let kinds = ["queue.paused", "brake.set"];
    of_brake(brake, kinds, &brake.reason, actor, brake.create_time)
}

/// `queue.resumed` or `brake.lifted`.
pub fn released(brake: &Brake, reason: &str, actor: &Actor, now: DateTime<Utc>) -> NewEvent {
    let kinds = ["queue.resumed", "brake.lifted"];
    of_brake(brake, kinds, reason, actor, now)
}

fn of_brake(
    brake: &Brake,
    [of_queue, of_tasks]: [&'static str; 2],
    reason: &str,
    actor: &Actor,
    now: DateTime<Utc>,
) -> NewEvent {
    let mut data = Map::new();
    data.insert("brake_id".into(), json!(brake.id));
    data.insert("reason".into(), json!(reason));
    let (kind, resource) = match brake.paused_queue() {
        Some(queue) => {
            data.insert("queue".into(), json!(queue));
            (of_queue, ("queue", queue))
        }
        None => {
            data.insert("selector".into(), selector(&brake.selector));
            (of_tasks, ("brake", brake.name.as_str()))
        }
    };
    NewEvent::new(brake.tenant_id, actor.clone(), now, kind, resource).with(Json::Object(data))
}

/// `limit.set` or `limit.deleted`.
pub fn limit(kind: &'static str, limit: &Limit, actor: &Actor, now: DateTime<Utc>) -> NewEvent {
    let rate = limit.rate.map(|rate| {
        json!({
            "tasks": rate.tasks,
            "period_seconds": rate.period.num_milliseconds() as f64 / 1_000.0,
            "burst_tasks": rate.burst,
        })
    });
    let data = json!({
        "limit_id": limit.id, "selector": selector(&limit.selector), "per": limit.per.word(),
        "key_prefix": limit.key_prefix, "max_running": limit.max_running, "rate": rate,
        "reason": limit.reason,
    });
    let resource = ("limit", limit.name.as_str());
    NewEvent::new(limit.tenant_id, actor.clone(), now, kind, resource).with(data)
}

fn selector(selector: &Selector) -> Json {
    let Selector {
        queues,
        kinds,
        capabilities,
        labels,
    } = selector;
    json!({ "queues": queues, "types": kinds, "capabilities": capabilities, "labels": labels })
}

fn event(
    tenant: TenantId,
    actor: &Actor,
    now: DateTime<Utc>,
    kind: &'static str,
    task: Uuid,
    data: Map<String, Json>,
) -> NewEvent {
    NewEvent::new(tenant, actor.clone(), now, kind, ("task", task)).with(Json::Object(data))
}

fn of_facts(facts: &Facts, hold: Option<Uuid>) -> Map<String, Json> {
    let mut data = Map::new();
    data.insert("type".into(), json!(facts.kind));
    data.insert("queue".into(), json!(facts.queue));
    put_project(&mut data, facts.project_id);
    put_origin(&mut data, facts.origin().as_ref());
    if !facts.labels.is_empty() {
        data.insert("labels".into(), json!(facts.labels.0));
    }
    if let Some(budget) = facts.details.budget() {
        data.insert("budget_id".into(), json!(budget.id));
    }
    if let Some(hold) = hold {
        data.insert("hold_id".into(), json!(hold));
    }
    data
}

fn put_project(data: &mut Map<String, Json>, project: Option<Uuid>) {
    if let Some(project) = project {
        data.insert("project_id".into(), json!(project));
    }
}

fn put_origin(data: &mut Map<String, Json>, origin: Option<&Origin>) {
    let Some(Origin {
        kind,
        resource_id,
        step_path,
        attempt,
    }) = origin
    else {
        return;
    };
    let origin = json!({
        "kind": kind, "resource_id": resource_id, "step_path": step_path, "attempt": attempt,
    });
    data.insert("origin".into(), origin);
}

fn put_usage(data: &mut Map<String, Json>, usage: Option<&Vec<Usage>>) {
    if let Some(usage) = usage.filter(|usage| !usage.is_empty()) {
        data.insert("usage".into(), json!(usage));
    }
}

/// Seconds as text, because they are billed.
fn put_times(data: &mut Map<String, Json>, started: Option<DateTime<Utc>>, ended: DateTime<Utc>) {
    data.insert("ended_time".into(), json!(ended));
    if let Some(started) = started {
        let micros = (ended - started)
            .num_microseconds()
            .unwrap_or_default()
            .max(0);
        let seconds = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        data.insert("started_time".into(), json!(started));
        data.insert("duration_seconds".into(), json!(seconds));
    }
}
