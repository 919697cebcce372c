//! Calls by the name of the method, with JSON, as grpcurl makes them.

use prost::Message as _;
use prost::bytes::{Buf as _, BufMut as _};
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde_json::Value as Json;
use tokio::runtime::Runtime;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};

use crate::harness::{Platform, eventually};

/// Calls the services of one platform as its administrator.
pub struct Rpc<'a> {
    platform: &'a Platform,
    contracts: DescriptorPool,
    runtime: Runtime,
}

impl<'a> Rpc<'a> {
    /// To a platform.
    pub fn new(platform: &'a Platform) -> Self {
        Self {
            platform,
            contracts: DescriptorPool::decode(reeve_contracts::FILE_DESCRIPTOR_SET)
                .expect("the contracts"),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
        }
    }

    /// Calls `package.Service/Method` once.
    pub fn try_call(&self, name: &str, request: Json) -> Result<Json, Status> {
        let (service, method) = name.split_once('/').expect("Service/Method");
        let found = self
            .contracts
            .get_service_by_name(service)
            .and_then(|service| service.methods().find(|found| found.name() == method));
        let found = found.unwrap_or_else(|| panic!("{name} is in no contract"));
        let message = DynamicMessage::deserialize(found.input(), request)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let path = PathAndQuery::try_from(format!("/{name}")).expect("a path");
        let answer = self
            .runtime
            .block_on(self.send(&found, path, message.encode_to_vec()))?;
        let answer = DynamicMessage::decode(found.output(), answer.as_slice());
        Ok(serde_json::to_value(answer.expect("an answer of the contract")).expect("JSON"))
    }

    /// Calls until the service answers; while one is down the call is repeated.
    pub fn call(&self, name: &str, request: &Json) -> Json {
        eventually(name, || match self.try_call(name, request.clone()) {
            Ok(answer) => Some(answer),
            Err(status) if is_passing(&status) => None,
            Err(status) => panic!("{name}: {status:?}"),
        })
    }

    /// Calls until the answer is as it should be.
    pub fn until<T>(
        &self,
        what: &str,
        name: &str,
        request: &Json,
        mut will_do: impl FnMut(&Json) -> Option<T>,
    ) -> T {
        eventually(what, || will_do(&self.call(name, request)))
    }

    async fn send(
        &self,
        method: &MethodDescriptor,
        path: PathAndQuery,
        message: Vec<u8>,
    ) -> Result<Vec<u8>, Status> {
        let address = self.platform.variable(variable(method));
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
            .expect("an address")
            .connect_lazy();
        let mut request = Request::new(message);
        let key = format!("Bearer {}", self.platform.variable("REEVE_API_KEY"));
        request
            .metadata_mut()
            .insert("authorization", key.parse().expect("a key"));
        request.set_timeout(std::time::Duration::from_secs(30));
        let mut client = tonic::client::Grpc::new(channel);
        client
            .ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(client.unary(request, path, Raw).await?.into_inner())
    }
}

/// Whether a service that was killed may be the reason.
fn is_passing(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded)
}

fn variable(method: &MethodDescriptor) -> &'static str {
    match method.parent_service().package_name() {
        "reeve.agent.v1" | "reeve.identity.v1" => "REEVE_AGENT_REGISTRY",
        "reeve.task.v1" => "REEVE_TASK_QUEUE",
        "reeve.workflow.v1" => "REEVE_WORKFLOW_ENGINE",
        "reeve.finance.v1" => "REEVE_FINANCE",
        _ => "REEVE_INCIDENT",
    }
}

/// Bytes that are a message already.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; from.remaining()];
        from.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}
