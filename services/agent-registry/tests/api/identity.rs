//! Tenants and API keys.

use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use reeve_auth::ApiKey;
use reeve_clock::Clock as _;
use reeve_contracts::agent::v1::ListAgentsRequest;
use reeve_contracts::identity::v1::{
    ApiKeyState, CreateApiKeyRequest, CreateTenantRequest, GetApiKeyRequest, ListApiKeysRequest,
    ListTenantsRequest, PrincipalKind, ResolveApiKeyRequest, RevokeApiKeyRequest,
};
use reeve_status::{Code, Reason};
use reeve_testkit::authorize;

use crate::harness::{World, refused, refused_status};

fn new_key(name: &str, permissions: &[&str]) -> CreateApiKeyRequest {
    CreateApiKeyRequest {
        name: name.to_owned(),
        kind: PrincipalKind::User.into(),
        permissions: permissions.iter().map(|p| (*p).to_owned()).collect(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_key_is_its_holders_identity() {
    let world = World::start().await;
    let admin = world.caller(&world.admin).await.unwrap();
    assert_eq!(
        (admin.kind(), admin.permissions.as_slice()),
        (PrincipalKind::User, &["*".to_owned()][..])
    );
    let secret = world
        .key("worker", &["agents.register", "agents.heartbeat"])
        .await;
    let worker = world.caller(&secret).await.unwrap();
    assert_eq!(
        (worker.kind(), worker.display_name.as_str()),
        (PrincipalKind::Agent, "worker")
    );
    assert_eq!(worker.tenant_id, admin.tenant_id);
    let id = ApiKey::parse(&secret).unwrap().id();
    assert_eq!(worker.subject, format!("key:{id}"));
    // It may do what it was given, and nothing else.
    let request = authorize(&secret, crate::harness::registration("a"));
    world.agents().register_agent(request).await.unwrap();
    let answer = world
        .agents()
        .list_agents(authorize(&secret, ListAgentsRequest::default()))
        .await;
    let fault = refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    assert_eq!(fault.metadata()["permission"], "agents.list");
}

#[tokio::test]
async fn nobody_grants_what_they_do_not_hold() {
    let world = World::start().await;
    let mut identity = world.identity();
    let some = new_key("some", &["api_keys.create", "agents.*"]);
    let some = identity.create_api_key(world.ask(some)).await.unwrap();
    let some = some.into_inner().secret;
    let answer = identity
        .create_api_key(authorize(&some, new_key("less", &["agents.get"])))
        .await;
    answer.unwrap();
    for more in ["*", "tasks.create", "api_keys.*"] {
        let request = authorize(&some, new_key("more", &["agents.get", more]));
        let answer = identity.create_api_key(request).await;
        let fault = refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
        assert_eq!(fault.metadata()["permission"], more);
    }
}

#[tokio::test]
async fn an_agent_makes_no_key_for_a_person() {
    let world = World::start().await;
    let agent = world.key("agent", &["*"]).await;
    let mut identity = world.identity();
    let wanted = CreateApiKeyRequest {
        request_id: "first".to_owned(),
        ..new_key("wanted", &["*"])
    };
    let answer = identity
        .create_api_key(authorize(&agent, wanted.clone()))
        .await;
    refused(answer, Code::PermissionDenied, Reason::PrincipalForbidden);
    // Nothing was written, not even the request id: it is free for another body.
    let own = CreateApiKeyRequest {
        kind: PrincipalKind::Agent.into(),
        ..wanted
    };
    let made = identity.create_api_key(authorize(&agent, own)).await;
    assert_eq!(
        made.unwrap().into_inner().api_key.unwrap().kind(),
        PrincipalKind::Agent
    );
}

#[tokio::test]
async fn an_agent_revokes_no_key_of_a_person() {
    let world = World::start().await;
    let agent = world.key("agent", &["*"]).await;
    let mut identity = world.identity();
    let person = identity
        .create_api_key(world.ask(new_key("person", &["*"])))
        .await
        .unwrap()
        .into_inner();
    let request = RevokeApiKeyRequest {
        api_key_id: person.api_key.unwrap().id,
    };
    let answer = identity.revoke_api_key(authorize(&agent, request)).await;
    refused(answer, Code::PermissionDenied, Reason::PrincipalForbidden);
    world.caller(&person.secret).await.expect("it still opens");
}

#[tokio::test]
async fn keys_are_listed_masked_and_page() {
    let world = World::start().await;
    let mut secrets = Vec::new();
    for number in 0..4 {
        secrets.push(world.key(&format!("key-{number}"), &["agents.get"]).await);
    }
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListApiKeysRequest {
            kind: PrincipalKind::Agent.into(),
            page_size: 3,
            page_token,
            ..Default::default()
        };
        let page = world
            .identity()
            .list_api_keys(world.ask(request))
            .await
            .unwrap()
            .into_inner();
        let shown = format!("{page:?}");
        for secret in &secrets {
            let hidden = secret.splitn(3, '_').nth(2).unwrap();
            assert!(!shown.contains(hidden), "a secret in {shown}");
        }
        names.extend(page.api_keys.into_iter().map(|key| key.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["key-0", "key-1", "key-2", "key-3"]);
    let id = ApiKey::parse(&secrets[0]).unwrap().id();
    let request = GetApiKeyRequest {
        api_key_id: id.to_string(),
    };
    let key = world
        .identity()
        .get_api_key(world.ask(request))
        .await
        .unwrap()
        .into_inner();
    let key = key.api_key.unwrap();
    assert_eq!(key.masked_key, format!("rvk_{}_****", id.uuid().simple()));
    assert_eq!(
        (key.state(), key.name.as_str()),
        (ApiKeyState::Active, "key-0")
    );
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_and_frees_its_name() {
    let world = World::start().await;
    let secret = world.key("rotated", &["agents.get"]).await;
    world.caller(&secret).await.unwrap();
    let id = ApiKey::parse(&secret).unwrap().id().to_string();
    let answer = world
        .identity()
        .create_api_key(world.ask(new_key("rotated", &["*"])))
        .await;
    refused(answer, Code::AlreadyExists, Reason::ResourceExists);
    let request = RevokeApiKeyRequest {
        api_key_id: id.clone(),
    };
    let first = world
        .identity()
        .revoke_api_key(world.ask(request.clone()))
        .await
        .unwrap();
    let first = first.into_inner().api_key.unwrap();
    assert_eq!(first.state(), ApiKeyState::Revoked);
    refused_status(
        world.caller(&secret).await,
        Code::Unauthenticated,
        Reason::CredentialInvalid,
    );
    let second = world
        .identity()
        .revoke_api_key(world.ask(request))
        .await
        .unwrap();
    assert_eq!(
        second.into_inner().api_key,
        Some(first),
        "revoking again changes nothing"
    );
    world.key("rotated", &["agents.get"]).await;
    let request = ListApiKeysRequest {
        states: vec![ApiKeyState::Revoked.into()],
        ..Default::default()
    };
    let revoked = world
        .identity()
        .list_api_keys(world.ask(request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        revoked
            .api_keys
            .iter()
            .map(|key| &key.id)
            .collect::<Vec<_>>(),
        [&id]
    );
    let events = world
        .events(|all| all.iter().any(|e| e.r#type == "api_key.revoked"))
        .await;
    assert_eq!(
        events
            .iter()
            .filter(|e| e.r#type == "api_key.revoked")
            .count(),
        1
    );
}

#[tokio::test]
async fn an_expired_key_opens_nothing() {
    let (world, clock) = World::with_clock(&[]).await;
    let expire_time = clock.now() + TimeDelta::hours(1);
    let request = CreateApiKeyRequest {
        expire_time: Some(reeve_wellknown::timestamp(expire_time)),
        ..new_key("short", &["agents.get"])
    };
    let secret = world
        .identity()
        .create_api_key(world.ask(request))
        .await
        .unwrap()
        .into_inner()
        .secret;
    clock.advance(TimeDelta::minutes(59));
    world.caller(&secret).await.unwrap();
    // Though the key itself is remembered for longer than this.
    clock.advance(TimeDelta::minutes(1));
    refused_status(
        world.caller(&secret).await,
        Code::Unauthenticated,
        Reason::CredentialInvalid,
    );
}

#[tokio::test]
async fn services_resolve_keys_and_nobody_else_does() {
    let world = World::start().await;
    let secret = world.key("resolved", &["tasks.*"]).await;
    let request = ResolveApiKeyRequest {
        api_key: secret.clone(),
    };
    let answer = world
        .identity()
        .resolve_api_key(world.internal(request.clone()))
        .await
        .unwrap();
    let principal = answer.into_inner().principal.unwrap();
    assert_eq!(Some(principal), world.caller(&secret).await.ok());
    let answer = world.identity().resolve_api_key(world.ask(request)).await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    for wrong in [
        "",
        "rvk_",
        &ApiKey::generate().reveal(),
        &secret[..secret.len() - 4],
    ] {
        let request = ResolveApiKeyRequest {
            api_key: wrong.to_owned(),
        };
        let answer = world
            .identity()
            .resolve_api_key(world.internal(request))
            .await;
        refused(answer, Code::Unauthenticated, Reason::CredentialInvalid);
    }
    // The right id with another secret.
    let parts = |key: &str| {
        let (head, secret) = key.split_at("rvk_".len() + 32);
        (head.to_owned(), secret.to_owned())
    };
    let turned = parts(&secret).0 + &parts(&ApiKey::generate().reveal()).1;
    assert_eq!(turned.len(), secret.len());
    let request = ResolveApiKeyRequest { api_key: turned };
    let answer = world
        .identity()
        .resolve_api_key(world.internal(request))
        .await;
    refused(answer, Code::Unauthenticated, Reason::CredentialInvalid);
}

#[tokio::test]
async fn without_a_credential_nothing_is_answered() {
    let world = World::start().await;
    let answer = world
        .agents()
        .list_agents(ListAgentsRequest::default())
        .await;
    refused(answer, Code::Unauthenticated, Reason::CredentialMissing);
}

#[tokio::test]
async fn the_operator_makes_tenants() {
    let world = World::start().await;
    let request = CreateTenantRequest {
        name: "acme".into(),
        ..Default::default()
    };
    let answer = world
        .identity()
        .create_tenant(world.ask(request.clone()))
        .await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    let made = world.other_tenant("acme").await;
    let tenant = made.tenant.unwrap();
    let caller = world.caller(&made.secret).await.unwrap();
    assert_eq!(
        (caller.tenant_id, caller.permissions),
        (tenant.id.clone(), vec!["*".to_owned()])
    );
    let answer = world
        .identity()
        .create_tenant(world.internal(request))
        .await;
    refused(answer, Code::AlreadyExists, Reason::ResourceExists);
    let request = ListTenantsRequest {
        page_size: 1,
        page_token: String::new(),
    };
    let first = world
        .identity()
        .list_tenants(world.internal(request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(first.tenants[0].name, "default");
    let request = ListTenantsRequest {
        page_size: 1,
        page_token: first.next_page_token,
    };
    let second = world
        .identity()
        .list_tenants(world.internal(request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (second.tenants, second.next_page_token.as_str()),
        (vec![tenant], "")
    );
}

#[tokio::test]
async fn the_configured_key_is_made_once() {
    let mut world = World::start().await;
    let before = world.caller(&world.admin).await.unwrap();
    world.stop().await;
    world.run().await;
    assert_eq!(world.caller(&world.admin).await.unwrap(), before);
    let count = |events: &[reeve_contracts::event::v1::Event], kind: &str| {
        events.iter().filter(|e| e.r#type == kind).count()
    };
    let events = world
        .events(|events| count(events, "api_key.created") > 0)
        .await;
    assert_eq!(
        (
            count(&events, "tenant.created"),
            count(&events, "api_key.created")
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn secrets_are_nowhere_but_in_the_first_answer() {
    let world = World::start().await;
    let secret = world.key("hidden", &["agents.get"]).await;
    let hidden = secret.splitn(3, '_').nth(2).unwrap().to_owned();
    let made = |events: &[reeve_contracts::event::v1::Event]| {
        events
            .iter()
            .any(|e| crate::harness::datum(e, "name") == "hidden")
    };
    let events = world.events(made).await;
    assert!(!format!("{events:?}").contains(&hidden));
    let mut admin = world.database.admin().await;
    let rows: Vec<String> = sqlx::query_scalar("select k::text from agent_registry.api_key k")
        .fetch_all(&mut admin)
        .await
        .unwrap();
    assert!(!rows.iter().any(|row| row.contains(&hidden)));
    let config = world.config().unwrap();
    let shown = format!("{config:?}");
    let admin_secret = world.admin.splitn(3, '_').nth(2).unwrap();
    assert!(!shown.contains(admin_secret) && !shown.contains(crate::harness::PEPPER));
}

#[tokio::test]
async fn the_last_use_of_a_key_is_written_down_at_the_latest_when_the_registry_stops() {
    let mut world = World::start().await;
    let [used, unused] = [
        world.key("used", &["a.b"]).await,
        world.key("unused", &["a.b"]).await,
    ];
    world.caller(&used).await.unwrap();
    world.stop().await;
    world.run().await;
    for (secret, expected) in [(used, true), (unused, false)] {
        let api_key_id = ApiKey::parse(&secret).unwrap().id().to_string();
        let request = world.ask(GetApiKeyRequest { api_key_id });
        let key = world
            .identity()
            .get_api_key(request)
            .await
            .unwrap()
            .into_inner()
            .api_key;
        assert_eq!(key.unwrap().last_use_time.is_some(), expected);
    }
}

/// What this process logs, whichever test makes it: the secrets looked for are this test's alone.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .expect("no writer panics")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn secrets_are_not_logged() {
    let logged = Logged::default();
    let writer = logged.clone();
    tracing_subscriber::fmt()
        .with_env_filter("info,sqlx=debug,reeve_agent_registry=trace,reeve_runtime=trace")
        .with_writer(move || writer.clone())
        .init();
    let world = World::start().await;
    let secret = world.key("logged", &["agents.get"]).await;
    world.caller(&secret).await.expect("it is valid");
    let request = ResolveApiKeyRequest {
        api_key: secret.clone(),
    };
    world
        .identity()
        .resolve_api_key(world.internal(request))
        .await
        .expect("it resolves");
    let wrong = ApiKey::generate().reveal();
    world.caller(&wrong).await.expect_err("nobody made it");
    let text = String::from_utf8(logged.0.lock().expect("no writer panics").clone());
    let text = text.expect("logs are text");
    assert!(
        text.contains("CreateApiKey"),
        "the calls themselves are logged: {text}"
    );
    for key in [&secret, &wrong, &world.admin] {
        let hidden = key.splitn(3, '_').nth(2).expect("a key has three parts");
        assert!(!text.contains(hidden), "a secret was logged");
    }
}
