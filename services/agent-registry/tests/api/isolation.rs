//! Two walls between tenants: every RPC, and the database by itself.

use reeve_agent_registry::AgentRegistry;
use reeve_contracts::agent::v1::{
    Agent, AgentState, DeleteAgentRequest, DrainAgentRequest, GetAgentRequest, HeartbeatRequest,
    ListAgentsRequest, TransitionAgentRequest, UpdateAgentRequest,
};
use reeve_contracts::identity::v1::{GetApiKeyRequest, ListApiKeysRequest, RevokeApiKeyRequest};
use reeve_ids::TenantId;
use reeve_status::{Code, Reason};
use reeve_testkit::authorize;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::harness::{World, beat_of, id_of, refused};

#[tokio::test]
async fn another_tenants_agent_is_not_there() {
    let world = World::start().await;
    let agent = world.active("mine").await;
    let id = id_of(&agent);
    let other = world.other_tenant("other").await.secret;
    let mut agents = world.agents();
    let absent = (Code::NotFound, Reason::ResourceNotFound);

    let request = GetAgentRequest {
        agent_id: id.clone(),
    };
    refused(
        agents.get_agent(authorize(&other, request)).await,
        absent.0,
        absent.1,
    );
    let request = HeartbeatRequest {
        heartbeat: Some(beat_of(&agent)),
    };
    refused(
        agents.heartbeat(authorize(&other, request)).await,
        absent.0,
        absent.1,
    );
    let request = TransitionAgentRequest {
        agent_id: id.clone(),
        state: AgentState::Error.into(),
        ..Default::default()
    };
    refused(
        agents.transition_agent(authorize(&other, request)).await,
        absent.0,
        absent.1,
    );
    let request = DrainAgentRequest {
        agent_id: id.clone(),
        ..Default::default()
    };
    refused(
        agents.drain_agent(authorize(&other, request)).await,
        absent.0,
        absent.1,
    );
    let request = UpdateAgentRequest {
        agent: Some(Agent {
            id: id.clone(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["labels".to_owned()],
        }),
        ..Default::default()
    };
    refused(
        agents.update_agent(authorize(&other, request)).await,
        absent.0,
        absent.1,
    );
    let request = DeleteAgentRequest {
        agent_id: id.clone(),
        etag: String::new(),
    };
    refused(
        agents.delete_agent(authorize(&other, request)).await,
        absent.0,
        absent.1,
    );
    let listed = agents
        .list_agents(authorize(&other, ListAgentsRequest::default()))
        .await
        .unwrap();
    assert!(listed.into_inner().agents.is_empty());
    assert_eq!(world.get(&id).await.state(), AgentState::Active);

    // The same name is another agent there.
    let request = authorize(&other, crate::harness::registration("mine"));
    let theirs = agents.register_agent(request).await.unwrap().into_inner();
    assert_ne!(id_of(&theirs), id);
}

#[tokio::test]
async fn another_tenants_key_is_not_there() {
    let world = World::start().await;
    let secret = world.key("mine", &["agents.get"]).await;
    let id = reeve_auth::ApiKey::parse(&secret).unwrap().id().to_string();
    let other = world.other_tenant("other").await.secret;
    let mut identity = world.identity();
    let request = GetApiKeyRequest {
        api_key_id: id.clone(),
    };
    let answer = identity.get_api_key(authorize(&other, request)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    let request = RevokeApiKeyRequest { api_key_id: id };
    let answer = identity.revoke_api_key(authorize(&other, request)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    let listed = identity
        .list_api_keys(authorize(&other, ListApiKeysRequest::default()))
        .await;
    let names: Vec<_> = listed
        .unwrap()
        .into_inner()
        .api_keys
        .into_iter()
        .map(|key| key.name)
        .collect();
    assert_eq!(names, ["admin"]);
    world.caller(&secret).await.expect("it was not revoked");
}

#[tokio::test]
async fn every_table_of_tenants_has_forced_row_security() {
    let world = World::start().await;
    let mut admin = world.database.admin().await;
    let tables: Vec<(String, bool, bool, i64)> = sqlx::query_as(
        "select c.relname::text, c.relrowsecurity, c.relforcerowsecurity,
                (select count(*) from pg_policy p where p.polrelid = c.oid)
         from pg_class c
         join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'agent_registry' and c.relkind in ('r', 'p')
           and (c.relname = 'tenant' or exists (
               select from pg_attribute a
               where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped))
         order by 1",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    let names: Vec<_> = tables.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "agent",
            "agent_status",
            "api_key",
            "request_record",
            "tenant"
        ]
    );
    for (name, enabled, forced, policies) in tables {
        assert!(
            enabled && forced && policies == 1,
            "{name}: {enabled} {forced} {policies}"
        );
    }
}

#[tokio::test]
async fn a_query_that_forgets_its_tenant_sees_nothing_of_others() {
    let world = World::start().await;
    let id = id_of(&world.active("mine").await);
    let database = world.database.connect(&AgentRegistry::schema());
    for table in ["agent", "api_key", "tenant"] {
        let count = format!("select count(*) from {table}");
        let mut tx = database.tenant(TenantId::new()).await.unwrap();
        let seen: i64 = sqlx::query_scalar(AssertSqlSafe(count))
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        assert_eq!(seen, 0, "{table}");
    }
    let mut tx = database.tenant(TenantId::new()).await.unwrap();
    let changed = sqlx::query("update agent set version = version + 1")
        .execute(&mut *tx)
        .await;
    assert_eq!(changed.unwrap().rows_affected(), 0);
    assert_eq!(world.get(&id).await.state(), AgentState::Active);
}

#[tokio::test]
async fn the_app_role_has_no_ddl_and_cannot_change_the_machine() {
    let world = World::start().await;
    let url = world.database.url(&AgentRegistry::schema());
    let mut app = PgConnection::connect(&url).await.unwrap();
    for statement in [
        "create table agent_registry.extra (id int)",
        "drop table agent_registry.agent",
        "alter table agent_registry.agent disable row level security",
        "alter table agent_registry.agent disable trigger agent_guard",
        "insert into agent_registry.agent_transition values ('OFFLINE', 'ACTIVE')",
        "delete from agent_registry.agent_transition",
        "create table public.extra (id int)",
    ] {
        let answer = sqlx::query(AssertSqlSafe(statement.to_owned()))
            .execute(&mut app)
            .await;
        let error = answer
            .expect_err(statement)
            .into_database_error()
            .expect("a database error");
        assert_eq!(
            error.code().as_deref(),
            Some("42501"),
            "{statement}: {error}"
        );
    }
}
