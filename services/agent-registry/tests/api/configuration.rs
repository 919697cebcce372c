//! The defaults, and what is refused.

use reeve_agent_registry::{Config, DEFAULTS};
use reeve_auth::ApiKey;
use reeve_runtime::config::{Sources, load};

fn sources() -> Sources {
    Sources::none()
        .set("database.url", "postgres://u@h/d")
        .set(
            "auth.service_token_secret",
            "0123456789012345678901234567890123456789",
        )
        .set(
            "auth.api_key_pepper",
            "0123456789012345678901234567890123456789",
        )
}

#[test]
fn the_defaults_are_complete_but_for_secrets_and_the_database() {
    let config: Config = load(DEFAULTS, &sources()).unwrap();
    assert_eq!(config.bootstrap.tenant, "default");
    assert_eq!(config.common.grpc.listen.port(), 7101);
    assert_eq!(config.common.admin.listen.port(), 9101);
    assert!(load::<Config>(DEFAULTS, &Sources::none()).is_err());
}

#[test]
fn every_problem_is_told_at_once() {
    let text = ApiKey::generate().reveal();
    let wrong = sources()
        .set("auth.api_key_pepper", "short")
        .set("bootstrap.tenant", "No Such")
        .set("bootstrap.admin_key", &text[1..])
        .set("heartbeat.interval", "20s")
        .set("heartbeat.lease", "30s")
        .set("heartbeat.grace", "1s");
    let error = load::<Config>(DEFAULTS, &wrong).unwrap_err();
    for key in [
        "auth.api_key_pepper",
        "bootstrap.tenant",
        "bootstrap.admin_key",
        "heartbeat.lease",
        "heartbeat.grace",
    ] {
        assert!(
            error
                .problems
                .iter()
                .any(|problem| problem.starts_with(key)),
            "{key}: {error}"
        );
    }
    let secret = text.splitn(3, '_').nth(2).unwrap();
    assert!(!error.to_string().contains(secret));
}
