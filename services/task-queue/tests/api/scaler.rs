//! KEDA asks how much work there is.

use std::collections::HashMap;

use chrono::TimeDelta;
use reeve_contracts::externalscaler::external_scaler_client::ExternalScalerClient;
use reeve_contracts::externalscaler::{
    GetMetricsRequest, GetMetricsResponse, IsActiveResponse, ScaledObjectRef,
};
use reeve_contracts::task::v1::TaskSpec;
use reeve_ids::TenantId;
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;
use serde::Deserialize as _;
use serde_json::Value as Json;
use tonic::Status;
use tonic::transport::Channel;

use crate::harness::*;

const DEPTH: &str = "reeve-queue-depth";
const AGE: &str = "reeve-queue-age-seconds";
/// Every answer is of its moment.
const FRESH: [(&str, &str); 1] = [("queue.figures_period", "1ms")];

impl World {
    fn scaler(&self) -> ExternalScalerClient<Channel> {
        ExternalScalerClient::new(self.channel())
    }

    /// A trigger of the tenant's administrator.
    fn scaled_object(&self, metadata: &[(&str, &str)]) -> ScaledObjectRef {
        trigger_of(&self.admin, metadata)
    }

    async fn is_active(&self, trigger: ScaledObjectRef) -> Result<bool, Status> {
        let answer = self.scaler().is_active(trigger).await?;
        Ok(answer.into_inner().result)
    }

    async fn metric(&self, trigger: ScaledObjectRef, name: &str) -> Result<f64, Status> {
        let request = GetMetricsRequest {
            scaled_object_ref: Some(trigger),
            metric_name: name.to_owned(),
        };
        let GetMetricsResponse { metric_values } =
            self.scaler().get_metrics(request).await?.into_inner();
        let [value] = metric_values.as_slice() else {
            panic!("not one value: {metric_values:?}");
        };
        assert_eq!(value.metric_name, name);
        #[allow(clippy::cast_precision_loss)]
        let whole = value.metric_value as f64;
        assert!((whole - value.metric_value_float).abs() < 1.0);
        Ok(value.metric_value_float)
    }

    async fn reaches_metric(&self, trigger: &ScaledObjectRef, name: &str, expected: f64) {
        eventually(|| async {
            let value = self.metric(trigger.clone(), name).await.expect("a value");
            if (value - expected).abs() < 0.5 {
                Ok(())
            } else {
                Err(format!("{name} is {value}"))
            }
        })
        .await;
    }
}

fn trigger_of(key: &str, metadata: &[(&str, &str)]) -> ScaledObjectRef {
    let given = metadata.iter().copied();
    let all = given.chain([("apiKeyFromEnv", key), ("scalerAddress", "x:1")]);
    ScaledObjectRef {
        name: "agents".to_owned(),
        namespace: "default".to_owned(),
        scaler_metadata: all
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
    }
}

#[tokio::test]
async fn the_depth_is_what_is_ready_or_with_an_agent() {
    let world = World::with(&FRESH).await;
    let agent = world.agent(&["lint"]);
    let trigger = world.scaled_object(&[("targetDepth", "5")]);
    assert!(!world.is_active(trigger.clone()).await.expect("an answer"));
    world.create_many(spec("lint"), 3).await;
    world.reaches_metric(&trigger, DEPTH, 3.0).await;
    assert!(world.is_active(trigger.clone()).await.expect("an answer"));
    let lease = world.lease_one(agent).await;
    world.create(spec("build")).await;
    world.reaches_metric(&trigger, DEPTH, 4.0).await;
    let only_lint = world.scaled_object(&[("targetDepth", "5"), ("capability", "lint")]);
    world.reaches_metric(&only_lint, DEPTH, 3.0).await;
    world.complete(&lease.lease_token).await.expect("completed");
    world.reaches_metric(&only_lint, DEPTH, 2.0).await;
    let elsewhere = world.scaled_object(&[("targetDepth", "5"), ("queue", "night")]);
    assert!(!world.is_active(elsewhere).await.expect("an answer"));
    world.pause("default", "").await;
    world.reaches_metric(&trigger, DEPTH, 0.0).await;
    assert!(!world.is_active(trigger).await.expect("nothing to do"));
}

#[tokio::test]
async fn the_age_is_of_what_has_been_ready_for_longest() {
    let world = World::by_test_clock(&FRESH).await;
    let trigger = world.scaled_object(&[
        ("targetAgeSeconds", "60"),
        ("activationDepth", "100"),
        ("activationAgeSeconds", "30"),
    ]);
    world.reaches_metric(&trigger, AGE, 0.0).await;
    world.create(spec("lint")).await;
    world.clock.advance(TimeDelta::seconds(30));
    world.create(spec("lint")).await;
    world.reaches_metric(&trigger, AGE, 30.0).await;
    assert!(!world.is_active(trigger.clone()).await.expect("not above"));
    world.clock.advance(TimeDelta::seconds(60));
    world.reaches_metric(&trigger, AGE, 90.0).await;
    assert!(world.is_active(trigger).await.expect("above"));
}

#[tokio::test]
async fn a_stream_says_when_there_is_work_and_when_there_is_none() {
    let mut world = World::with(&FRESH).await;
    let agent = world.agent(&["lint"]);
    let trigger = world.scaled_object(&[("targetDepth", "5")]);
    let answer = world.scaler().stream_is_active(trigger).await;
    let mut stream = answer.expect("it opens").into_inner();
    let mut next = async || {
        tokio::time::timeout(LONG, stream.message())
            .await
            .expect("in time")
    };
    let says = |result| Some(IsActiveResponse { result });
    assert_eq!(next().await.expect("at once"), says(false));
    world.create(spec("lint")).await;
    assert_eq!(next().await.expect("work"), says(true));
    let lease = world.lease_one(agent).await;
    world.complete(&lease.lease_token).await.expect("completed");
    assert_eq!(next().await.expect("none"), says(false));
    let (stopped, ()) = tokio::join!(next(), world.stop());
    refused(stopped, Code::Unavailable, Reason::Draining);
}

#[tokio::test]
async fn what_has_a_target_has_a_metric() {
    let world = World::start().await;
    let specs = async |metadata: &[(&str, &str)]| {
        let answer = world
            .scaler()
            .get_metric_spec(world.scaled_object(metadata))
            .await;
        let specs = answer.expect("an answer").into_inner().metric_specs;
        let each = specs.into_iter();
        each.map(|spec| (spec.metric_name, spec.target_size))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        specs(&[("targetDepth", "5")]).await,
        [(DEPTH.to_owned(), 5)]
    );
    let both = specs(&[("targetDepth", "5"), ("targetAgeSeconds", "60")]).await;
    assert_eq!(both, [(DEPTH.to_owned(), 5), (AGE.to_owned(), 60)]);
}

#[tokio::test]
async fn the_key_says_whose_queue_it_is() {
    let world = World::with(&FRESH).await;
    world.create(spec("lint")).await;
    let ours = world.scaled_object(&[("targetDepth", "5")]);
    world.reaches_metric(&ours, DEPTH, 1.0).await;
    let of = |key: &str| trigger_of(key, &[("targetDepth", "5")]);
    let stranger = world.authenticator.admin(TenantId::new());
    let theirs = world.is_active(of(&stranger)).await;
    assert!(!theirs.expect("their own queue"));
    let reader = world.authenticator.key(world.tenant, &["queues.read"]);
    assert!(world.is_active(of(&reader)).await.expect("it may read"));
    let worker = world.authenticator.key(world.tenant, &["tasks.work"]);
    let answer = world.is_active(of(&worker)).await;
    let fault = refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    assert_eq!(fault.metadata()["permission"], "queues.read");
    let answer = world.is_active(of("nobody's")).await;
    refused(answer, Code::Unauthenticated, Reason::CredentialInvalid);
    let answer = world.is_active(of(" ")).await;
    refused(answer, Code::Unauthenticated, Reason::CredentialMissing);
    // What the headers say is not asked: KEDA has none, and there is one way.
    let bare = world.ask(ScaledObjectRef::default());
    let answer = world.scaler().get_metric_spec(bare).await;
    refused(answer, Code::Unauthenticated, Reason::CredentialMissing);
    let answer = world.scaler().stream_is_active(of("nobody's")).await;
    refused(answer, Code::Unauthenticated, Reason::CredentialInvalid);
    let answer = world.metric(of("nobody's"), DEPTH).await;
    refused(answer, Code::Unauthenticated, Reason::CredentialInvalid);
}

#[tokio::test]
async fn every_wrong_key_of_a_trigger_is_named() {
    let world = World::start().await;
    let wrong = world.scaled_object(&[
        ("queue", "a/b"),
        ("capability", ""),
        ("targetDepth", "0"),
        ("targetAgeSeconds", "1.5"),
        ("activationDepth", "-1"),
        ("activationAgeSeconds", "x"),
    ]);
    let answer = world.is_active(wrong).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(
        fields(&fault),
        [
            "scalerMetadata.activationAgeSeconds",
            "scalerMetadata.activationDepth",
            "scalerMetadata.capability",
            "scalerMetadata.queue",
            "scalerMetadata.targetAgeSeconds",
            "scalerMetadata.targetDepth",
        ]
    );
    let answer = world
        .is_active(world.scaled_object(&[("targetdepth", "5")]))
        .await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["scalerMetadata.targetDepth"]);
    let trigger = world.scaled_object(&[("targetDepth", "5")]);
    let answer = world.metric(trigger, "depth").await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["metricName"]);
}

#[tokio::test]
async fn the_example_is_what_the_scaler_takes() {
    let world = World::with(&FRESH).await;
    let text = include_str!("../../../../deploy/keda/agents.yaml");
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    let documents: Vec<Json> = documents
        .map(|one| Json::deserialize(one).expect("YAML"))
        .collect();
    let [deployment, scaled] = documents.as_slice() else {
        panic!("a deployment and what scales it");
    };
    let target = &scaled["spec"]["scaleTargetRef"]["name"];
    assert_eq!(*target, deployment["metadata"]["name"]);
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let triggers = scaled["spec"]["triggers"].as_array().expect("triggers");
    for trigger in triggers {
        let kind = trigger["type"].as_str().expect("a type");
        assert!(["external", "external-push"].contains(&kind));
        let metadata: HashMap<String, String> =
            serde_json::from_value(trigger["metadata"].clone()).expect("all of it text");
        assert_eq!(container["env"][0]["name"], metadata["apiKeyFromEnv"]);
        assert!(metadata["scalerAddress"].ends_with(":7102"));
        let rest = metadata.iter().filter(|(key, _)| *key != "apiKeyFromEnv");
        let rest: Vec<_> = rest
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let ours = world.scaled_object(&rest);
        let specs = world.scaler().get_metric_spec(ours.clone()).await;
        let specs = specs.expect("it is right").into_inner().metric_specs;
        assert_eq!(specs.len(), 1);
        world
            .metric(ours, &specs[0].metric_name)
            .await
            .expect("a value");
    }
    let push = &triggers[0]["metadata"];
    let task = TaskSpec {
        queue: push["queue"].as_str().expect("a queue").to_owned(),
        capability: push["capability"].as_str().expect("one").to_owned(),
        ..spec("lint")
    };
    world.create(task).await;
    let trigger = world.scaled_object(&[("targetDepth", "5")]);
    eventually(|| async { world.is_active(trigger.clone()).await.expect("an answer") }).await;
}
