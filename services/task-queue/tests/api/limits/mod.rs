//! Limits on what runs at a time and on what is begun in a time.

mod groups;
mod places;
mod rates;
mod service;

use reeve_contracts::task::v1::limit_service_client::LimitServiceClient;
use reeve_contracts::task::v1::{
    self as proto, Limit, LimitPer, PendingReason, SetLimitRequest, TaskSelector, TaskSpec,
};
use reeve_testkit::eventually;
use tonic::Status;
use tonic::transport::Channel;

use crate::harness::*;

/// A limit on all tasks of the tenant.
fn at_most(name: &str, max_running: i32, per: LimitPer) -> SetLimitRequest {
    SetLimitRequest {
        name: name.to_owned(),
        selector: Some(TaskSelector {
            all: true,
            ..Default::default()
        }),
        per: per.into(),
        max_running,
        ..Default::default()
    }
}

fn rated(name: &str, tasks: i32, per_seconds: i64) -> SetLimitRequest {
    SetLimitRequest {
        rate: Some(proto::Rate {
            tasks,
            period_duration: Some(seconds(per_seconds)),
            burst_tasks: 0,
        }),
        ..at_most(name, 0, LimitPer::Tenant)
    }
}

fn on(keys: &[&str]) -> TaskSpec {
    TaskSpec {
        concurrency_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        ..spec("lint")
    }
}

impl World {
    pub fn limits(&self) -> LimitServiceClient<Channel> {
        LimitServiceClient::new(self.channel())
    }

    async fn try_limit(&self, request: SetLimitRequest) -> Result<Limit, Status> {
        let answer = self.limits().set_limit(self.ask(request)).await?;
        Ok(answer.into_inner().limit.expect("the answer holds it"))
    }

    async fn limit(&self, request: SetLimitRequest) -> Limit {
        self.try_limit(request).await.expect("it is set")
    }

    async fn get_limit(&self, name: &str) -> Limit {
        let name = name.to_owned();
        let request = self.ask(proto::GetLimitRequest { name });
        let answer = self.limits().get_limit(request).await;
        let limit = answer.expect("it is there").into_inner().limit;
        limit.expect("the answer holds it")
    }

    async fn unlimit(&self, name: &str, etag: &str) -> Result<Limit, Status> {
        let request = proto::DeleteLimitRequest {
            name: name.to_owned(),
            etag: etag.to_owned(),
        };
        let answer = self.limits().delete_limit(self.ask(request)).await?;
        Ok(answer.into_inner().limit.expect("the answer holds it"))
    }

    /// Value, running and throttled of each allowance of a limit.
    async fn allowances(&self, name: &str) -> Vec<(String, i32, i32)> {
        let limit = self.get_limit(name).await;
        let each = limit.allowances.into_iter();
        each.map(|of| (of.value, of.running, of.throttled))
            .collect()
    }

    async fn waits(&self, id: &str, reason: PendingReason) {
        eventually(|| async {
            let found = self.get(id).await.pending_reason();
            if found == reason {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        })
        .await;
    }

    async fn are_in_redis(&self, count: usize) {
        eventually(|| async { self.ready_in_redis("default", "lint").await == count }).await;
    }

    /// Something in each table of limits that stays.
    pub async fn fills_every_table_of_limits(&self) {
        let agent = self.agent(&["limited"]);
        let spec = TaskSpec {
            concurrency_keys: vec!["table".to_owned()],
            ..spec("limited")
        };
        self.create_many(spec, 3).await;
        let selector = TaskSelector {
            types: vec!["limited".to_owned()],
            ..Default::default()
        };
        let request = SetLimitRequest {
            selector: Some(selector),
            ..rated("limited", 5, 86_400)
        };
        self.limit(request).await;
        assert_eq!(self.lease(agent, 3).await.len(), 1);
        let wait = PendingReason::Throttled;
        let request = proto::ListTasksRequest::default();
        eventually(|| async {
            let list = self.tasks().list_tasks(self.ask(request.clone())).await;
            let tasks = list.expect("a list").into_inner().tasks;
            tasks.iter().any(|task| task.pending_reason() == wait)
        })
        .await;
    }
}
