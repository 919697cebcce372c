//! Loading, with every way to get it wrong.

use std::net::SocketAddr;

use serde::Deserialize;

use super::*;

const DEFAULTS: &str = r#"
[grpc]
listen = "127.0.0.1:7102"
[queue]
size = 10
ratio = 0.5
names = ["default"]
[labels]
"#;

#[derive(Debug, Deserialize)]
struct Config {
    grpc: GrpcConfig,
    auth: AuthConfig,
    limits: LimitsConfig,
    drain: DrainConfig,
    queue: Queue,
    labels: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Queue {
    size: u32,
    ratio: f64,
    names: Vec<String>,
}

impl Validate for Config {
    fn validate(&self) -> Vec<String> {
        let wrong = self.queue.size == 0;
        wrong
            .then(|| "queue.size: must be positive".to_owned())
            .into_iter()
            .collect()
    }
}

/// A file that goes away with the value.
fn written(text: &str) -> tempfile::TempPath {
    let file = tempfile::NamedTempFile::new().expect("the temporary folder is writable");
    std::fs::write(file.path(), text).expect("the file is writable");
    file.into_temp_path()
}

#[test]
fn each_source_overrides_the_one_before() {
    let load = |sources: &Sources| load::<Config>(DEFAULTS, sources).unwrap();
    let size = |sources: &Sources| load(sources).queue.size;
    let sources = Sources::none();
    assert_eq!(size(&sources), 10);
    let path = written("[queue]\nsize = 20\n");
    let sources = sources.file(&*path);
    assert_eq!(size(&sources), 20);
    let sources = sources.variable("REEVE_QUEUE__SIZE", "30");
    assert_eq!(size(&sources), 30);
    let sources = sources.set("queue.size", "40");
    assert_eq!(size(&sources), 40);
    assert_eq!(
        load(&sources).grpc.listen,
        SocketAddr::from(([127, 0, 0, 1], 7102))
    );
}

#[test]
fn text_takes_the_type_of_the_default() {
    let sources = Sources::none()
        .variable("REEVE_QUEUE__RATIO", "2")
        .variable("REEVE_QUEUE__NAMES", "a, b")
        .variable("REEVE_LABELS__TEAM", "red")
        .variable("REEVE_LIMITS__UNARY_DEADLINE", "250ms");
    let config = load::<Config>(DEFAULTS, &sources).unwrap();
    assert!((config.queue.ratio - 2.0).abs() < f64::EPSILON);
    assert_eq!(config.queue.names, ["a", "b"]);
    assert_eq!(config.labels["team"], "red");
    assert_eq!(config.limits.unary_deadline.as_millis(), 250);
}

#[test]
fn the_common_defaults_are_those_of_the_code() {
    let config = load::<Config>(DEFAULTS, &Sources::none()).unwrap();
    let (limits, drain) = (LimitsConfig::default(), DrainConfig::default());
    assert_eq!(format!("{:?}", config.limits), format!("{limits:?}"));
    assert_eq!(format!("{:?}", config.drain), format!("{drain:?}"));
}

#[test]
fn every_problem_is_reported_at_once() {
    let path = written("[queue]\nsize = \"many\"\nsizes = 3\n[nothing]\nx = 1\n");
    let sources = Sources::none()
        .file(&*path)
        .variable("REEVE_GRPC__LISTN", "x")
        .variable("REEVE_QUEUE__RATIO", "high")
        .set("queue.size", "0");
    let problems = load::<Config>(DEFAULTS, &sources).unwrap_err().problems;
    let expected = [
        "queue.size must be a whole number",
        "there is no key queue.sizes; did you mean queue.size?",
        "there is no key nothing",
        "REEVE_GRPC__LISTN: there is no key grpc.listn; did you mean grpc.listen?",
        "REEVE_QUEUE__RATIO: must be a number",
        "queue.size: must be positive",
    ];
    for text in expected {
        assert!(
            problems.iter().any(|problem| problem.contains(text)),
            "{text} not in {problems:#?}"
        );
    }
    assert_eq!(problems.len(), expected.len());
}

#[test]
fn values_that_serde_refuses_are_all_reported_with_what_was_checked_afterwards() {
    let path = written("[limits]\nunary_deadline = \"soon\"\n");
    let place = path.display().to_string();
    let sources = sound()
        .file(&*path)
        .variable("REEVE_GRPC__LISTEN", "localhost:7102")
        .variable("REEVE_DRAIN__NOTICE", "5")
        .variable("REEVE_LOG__FORMAT", "xml")
        .set("log.filter", "a=b=c")
        .set("redis.url", "http://cache")
        .set("redis.prefix", "{all}")
        .set("database.url", "postgres://reeve@db:port/reeve")
        .set("peers.finance", "https://finance.internal")
        .set("peers.incident", "http://")
        .set("limits.connections", "0")
        .set("auth.service_token_secret", "short");
    let problems = load::<Common>("", &sources).unwrap_err().problems;
    let file = format!("{place}: limits.unary_deadline: ");
    let expected = [
        file.as_str(),
        "REEVE_GRPC__LISTEN: ",
        "REEVE_DRAIN__NOTICE: ",
        "REEVE_LOG__FORMAT: ",
        "log.filter: ",
        "redis.url: ",
        "redis.prefix: ",
        "database.url: ",
        "peers.finance: must be http://host:port; services do not speak TLS",
        "peers.incident: must be like http://host:port",
        "limits.connections: ",
        "auth.service_token_secret: ",
    ];
    for text in expected {
        let found = problems.iter().any(|problem| problem.starts_with(text));
        assert!(found, "{text} not in {problems:#?}");
    }
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
}

#[test]
fn one_underscore_where_two_belong_is_a_mistake() {
    let sources = Sources::none()
        .variable("REEVE_GRPC_LISTEN", "127.0.0.1:1")
        .variable("REEVE_AUTH_SERVICE_TOKEN_SECRET_FILE", "/x")
        .variable("REEVE_AGENT_REGISTRY", "127.0.0.1:7101")
        .variable("REEVE_QUEUE", "x");
    let problems = load::<Config>(DEFAULTS, &sources).unwrap_err().problems;
    assert_eq!(
        problems,
        [
            "REEVE_GRPC_LISTEN: configures nothing; did you mean REEVE_GRPC__LISTEN?",
            "REEVE_AUTH_SERVICE_TOKEN_SECRET_FILE: configures nothing; did you mean \
             REEVE_AUTH__SERVICE_TOKEN_SECRET?",
        ]
    );
}

/// What a service needs to start.
fn sound() -> Sources {
    Sources::none()
        .set("database.url", "postgres://a@b/c")
        .set("auth.service_token_secret", "s".repeat(32))
}

#[test]
fn no_password_is_printed_whatever_form_it_has() {
    const CANARY: &str = "hunter2";
    for (key, value) in [
        ("redis.url", "redis://user:hunter2@cache:6379"),
        ("redis.url", "redis://:hunter2@cache:6379/0"),
        ("redis.url", "redis+unix:///run/redis?pass=hunter2&db=1"),
        ("database.url", "postgres://a:hunter2@db/c"),
        (
            "database.url",
            "postgres://db:5432/c?user=a&password=hunter2",
        ),
        ("database.url", "postgres://db/c?password=x@hunter2"),
        ("auth.api_key_pepper", "hunter2hunter2hunter2hunter2hunter2"),
    ] {
        let sources = sound().set(key, value);
        let config = load::<Common>("", &sources).unwrap();
        let printed = format!("{config:?}{}", dump("", &sources));
        assert!(!printed.contains(CANARY), "{value}: {printed}");
    }
    let urls = "[queue]\nnames = [\"amqp://a:hunter2@b\", \"plain\"]\n";
    let path = written(urls);
    let printed = dump(DEFAULTS, &Sources::none().file(&*path));
    assert!(
        !printed.contains(CANARY) && printed.contains("plain"),
        "{printed}"
    );

    let broken = written("[auth]\nservice_token_secret = hunter2hunter2\n");
    let error = load::<Common>("", &sound().file(&*broken)).unwrap_err();
    let said = error.to_string();
    assert!(!said.contains(CANARY), "{said}");
    assert!(said.contains("line 2, column"), "{said}");
}

#[test]
fn a_secret_comes_from_a_file_and_is_not_printed() {
    let path = written("hunter2hunter2\n");
    let sources = Sources::none()
        .variable(
            "REEVE_AUTH__SERVICE_TOKEN_SECRET_FILE",
            path.display().to_string(),
        )
        .set("redis.url", "redis://user:hunter2@cache:6379");
    let config = load::<Config>(DEFAULTS, &sources).unwrap();
    assert_eq!(config.auth.service_token_secret.expose(), "hunter2hunter2");
    let printed = format!("{config:?}{}", dump(DEFAULTS, &sources));
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(printed.contains("redis://user:redacted@cache:6379"));
}

#[test]
fn keys_of_a_neighbour_and_of_clients_are_left_alone() {
    let sources = Sources::none()
        .variable("REEVE_BOOTSTRAP__ADMIN_KEY", "k")
        .variable("REEVE_API_KEY", "k")
        .shared_with("[bootstrap]\nadmin_key = \"\"\n");
    assert!(load::<Config>(DEFAULTS, &sources).is_ok());
}

#[test]
fn the_common_sections_need_a_database_and_a_secret() {
    let problems = load::<Common>("", &Sources::none()).unwrap_err().problems;
    assert_eq!(problems.len(), 2, "{problems:#?}");
    load::<Common>("", &sound()).unwrap();
    let hasty = sound()
        .set("drain.finish", "40s")
        .set("peers.finance", "finance:7104");
    let problems = load::<Common>("", &hasty).unwrap_err().problems;
    assert_eq!(problems.len(), 2, "{problems:#?}");
}

#[test]
fn a_missing_file_is_a_problem() {
    let error = load::<Config>(DEFAULTS, &Sources::none().file("/nowhere.toml")).unwrap_err();
    assert!(error.to_string().contains("/nowhere.toml"), "{error}");
}
