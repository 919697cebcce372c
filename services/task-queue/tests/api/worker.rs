//! An agent at its work stream.

use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::work_request::Message as Said;
use reeve_contracts::task::v1::work_response::Message as Say;
use reeve_ids::AgentId;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::harness::*;

/// An agent at its stream.
pub struct Worker {
    pub say: mpsc::Sender<proto::WorkRequest>,
    pub hear: Streaming<proto::WorkResponse>,
    pub sequence: i64,
}

impl Worker {
    pub async fn open(world: &World) -> Self {
        let (say, said) = mpsc::channel(16);
        let request = world.ask(ReceiverStream::new(said));
        let hear = world
            .work()
            .work(request)
            .await
            .expect("it opens")
            .into_inner();
        Self {
            say,
            hear,
            sequence: 0,
        }
    }

    /// Opens and is welcome.
    pub async fn greet(world: &World, agent: AgentId) -> Self {
        let mut worker = Self::open(world).await;
        worker.hello(hello(agent)).await;
        worker
    }

    pub async fn hello(&mut self, hello: proto::Hello) -> proto::Welcome {
        self.say(0, Said::Hello(hello)).await;
        match self.next().await.expect("it is welcome") {
            Say::Welcome(welcome) => welcome,
            other => panic!("{other:?} instead of a welcome"),
        }
    }

    pub async fn say(&self, sequence: i64, message: Said) {
        let request = proto::WorkRequest {
            sequence,
            message: Some(message),
        };
        self.say.send(request).await.expect("the stream is open");
    }

    /// Says something numbered and waits for its ack, passing over everything else.
    pub async fn tell(&mut self, message: Said) -> proto::Ack {
        self.sequence += 1;
        self.say(self.sequence, message).await;
        loop {
            if let Say::Ack(ack) = self.next().await.expect("it is acknowledged") {
                assert_eq!(ack.sequence, self.sequence);
                return ack;
            }
        }
    }

    pub async fn credit(&self, tasks: i32) {
        self.say(0, Said::Credit(proto::Credit { tasks })).await;
    }

    pub async fn next(&mut self) -> Result<Say, Status> {
        let message = tokio::time::timeout(LONG, self.hear.message()).await;
        let message = message.expect("a message in time")?;
        Ok(message
            .and_then(|message| message.message)
            .expect("the stream has not ended"))
    }

    pub async fn assigned(&mut self) -> Vec<proto::Lease> {
        match self.next().await.expect("it is assigned something") {
            Say::Assign(assign) => assign.leases,
            other => panic!("{other:?} instead of an assignment"),
        }
    }
}

pub fn hello(agent: AgentId) -> proto::Hello {
    proto::Hello {
        agent_id: agent.to_string(),
        ..Default::default()
    }
}

pub fn completion(token: &str) -> proto::CompleteTaskRequest {
    proto::CompleteTaskRequest {
        lease_token: token.to_owned(),
        ..Default::default()
    }
}
