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

fn written(text: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("reeve-config-{}", uuid::Uuid::new_v4()));
    std::fs::write(&path, text).expect("the temporary folder is writable");
    path
}

#[test]
fn each_source_overrides_the_one_before() {
    let load = |sources: &Sources| load::<Config>(DEFAULTS, sources).unwrap();
    let size = |sources: &Sources| load(sources).queue.size;
    let sources = Sources::none();
    assert_eq!(size(&sources), 10);
    let sources = sources.file(written("[queue]\nsize = 20\n"));
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
    let sources = Sources::none()
        .file(written(
            "[queue]\nsize = \"many\"\nsizes = 3\n[nothing]\nx = 1\n",
        ))
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
    let sources = Sources::none()
        .set("database.url", "postgres://a@b/c")
        .set("auth.service_token_secret", "s".repeat(32));
    load::<Common>("", &sources).unwrap();
    let hasty = sources
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
