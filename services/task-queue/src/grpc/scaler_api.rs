//! `externalscaler.ExternalScaler`, which KEDA calls. Its callers are admitted here: the credential is
//! in the message.

use std::sync::Arc;

use futures::stream::BoxStream;
use reeve_auth::Authenticator;
use reeve_contracts::externalscaler as proto;
use reeve_contracts::externalscaler::external_scaler_server::ExternalScaler;
use reeve_ids::TenantId;
use reeve_status::{Code, Fault, Reason};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::parse_scaler::{self, Trigger};
use crate::domain::{Load, Metric};
use crate::operations;
use crate::{Error, Queue};

/// What a credential needs.
const PERMISSION: &str = "queues.read";
/// Answers that a stream may be ahead of its reader.
const AHEAD: usize = 4;

type Told = Result<proto::IsActiveResponse, Status>;

/// Serves KEDA.
#[derive(Clone)]
pub struct ScalerApi {
    queue: Queue,
    authenticator: Arc<dyn Authenticator>,
}

impl ScalerApi {
    /// The full name of the gRPC service.
    pub const NAME: &'static str = "externalscaler.ExternalScaler";

    /// The RPCs over the service.
    pub fn new(queue: Queue, authenticator: Arc<dyn Authenticator>) -> Self {
        Self {
            queue,
            authenticator,
        }
    }

    /// Whose trigger it is, and what it asks for.
    async fn admit(&self, object: &proto::ScaledObjectRef) -> Result<(TenantId, Trigger), Fault> {
        let credential = parse_scaler::credential(object)?;
        let principal = self.authenticator.authenticate(&credential).await?;
        tracing::Span::current().record("tenant", tracing::field::display(principal.tenant_id));
        if !principal.holds(PERMISSION) {
            let message = format!("the credential lacks the permission {PERMISSION}");
            let fault = Fault::new(Code::PermissionDenied, Reason::PermissionMissing, message);
            return Err(fault.with("permission", PERMISSION));
        }
        Ok((principal.tenant_id, parse_scaler::trigger(object)?))
    }

    async fn load(&self, tenant: TenantId, trigger: &Trigger) -> Result<Load, Fault> {
        let capability = trigger.capability.as_deref();
        operations::load(&self.queue, tenant, &trigger.queue, capability).await
    }

    async fn is_active_for(&self, tenant: TenantId, trigger: &Trigger) -> Result<bool, Fault> {
        let load = self.load(tenant, trigger).await?;
        let now = self.queue.shared.clock.now();
        Ok(trigger.targets.are_active(load, now))
    }

    /// Says whether there is work whenever that changes; why that ends.
    async fn follow(
        &self,
        (tenant, trigger): (TenantId, Trigger),
        out: &mpsc::Sender<Told>,
    ) -> Fault {
        let mut last = None;
        loop {
            let result = match self.is_active_for(tenant, &trigger).await {
                Ok(result) => result,
                Err(fault) => return fault,
            };
            if last != Some(result) {
                let _ = out.send(Ok(proto::IsActiveResponse { result })).await;
                last = Some(result);
            }
            tokio::select! {
                () = tokio::time::sleep(self.queue.shared.config.figures_period) => {}
                () = self.queue.shared.drain.cancelled() => return Error::Draining.into(),
                () = out.closed() => return Error::Draining.into(),
            }
        }
    }
}

/// Whole numbers below a million million are exact.
#[allow(clippy::cast_precision_loss)]
fn float(number: i64) -> f64 {
    number as f64
}

#[tonic::async_trait]
impl ExternalScaler for ScalerApi {
    type StreamIsActiveStream = BoxStream<'static, Told>;

    async fn is_active(
        &self,
        request: Request<proto::ScaledObjectRef>,
    ) -> Result<Response<proto::IsActiveResponse>, Status> {
        let (tenant, trigger) = self.admit(request.get_ref()).await?;
        let result = self.is_active_for(tenant, &trigger).await?;
        Ok(Response::new(proto::IsActiveResponse { result }))
    }

    async fn stream_is_active(
        &self,
        request: Request<proto::ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        let whose = self.admit(request.get_ref()).await?;
        let (out, told) = mpsc::channel(AHEAD);
        let api = self.clone();
        reeve_runtime::spawn("stream is active", async move {
            let fault = api.follow(whose, &out).await;
            let _ = out.send(Err(fault.into())).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }

    async fn get_metric_spec(
        &self,
        request: Request<proto::ScaledObjectRef>,
    ) -> Result<Response<proto::GetMetricSpecResponse>, Status> {
        let (_, trigger) = self.admit(request.get_ref()).await?;
        let spec = |(metric, target): (Metric, i64)| proto::MetricSpec {
            metric_name: metric.name().to_owned(),
            target_size: target,
            target_size_float: float(target),
        };
        let metric_specs = trigger.targets.metrics().map(spec).collect();
        Ok(Response::new(proto::GetMetricSpecResponse { metric_specs }))
    }

    async fn get_metrics(
        &self,
        request: Request<proto::GetMetricsRequest>,
    ) -> Result<Response<proto::GetMetricsResponse>, Status> {
        let request = request.into_inner();
        let object = request.scaled_object_ref.unwrap_or_default();
        let (tenant, trigger) = self.admit(&object).await?;
        let Some(metric) = Metric::named(&request.metric_name) else {
            let names = Metric::ALL.map(Metric::name).join(" or ");
            return Err(Fault::invalid("metricName", format!("must be {names}")).into());
        };
        let load = self.load(tenant, &trigger).await?;
        let value = load.value(metric, self.queue.shared.clock.now());
        let value = proto::MetricValue {
            metric_name: metric.name().to_owned(),
            metric_value: value,
            metric_value_float: float(value),
        };
        let metric_values = vec![value];
        Ok(Response::new(proto::GetMetricsResponse { metric_values }))
    }
}
