//! The part of a service that clients stream to, and that they wait at.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _, stream};
use reeve_contracts::task::v1::work_service_server::WorkService;
use reeve_contracts::task::v1::*;
use tonic::{Request, Response, Status, Streaming};

use crate::api::{Count, Inside};

/// The service.
pub struct Work(pub Arc<Inside>);

/// Implements the contract with what these tests ask for, and refuses the rest.
macro_rules! work_service {
    ($($name:ident($request:ident) -> $response:ident;)+) => {
        #[tonic::async_trait]
        impl WorkService for Work {
            type WorkStream = Pin<Box<dyn Stream<Item = Result<WorkResponse, Status>> + Send>>;

            /// Reads to the end, and then says how that was.
            async fn work(
                &self,
                request: Request<Streaming<WorkRequest>>,
            ) -> Result<Response<Self::WorkStream>, Status> {
                let mut inbound = request.into_inner();
                let end = async move {
                    loop {
                        match inbound.message().await {
                            Ok(Some(_)) => {}
                            Ok(None) => return Ok(WorkResponse::default()),
                            Err(status) => return Err(reeve_runtime::inbound_fault(&status).into()),
                        }
                    }
                };
                Ok(Response::new(stream::once(end).boxed()))
            }

            /// Waits at the gate.
            async fn lease_tasks(
                &self,
                _: Request<LeaseTasksRequest>,
            ) -> Result<Response<LeaseTasksResponse>, Status> {
                let _held = Count::new(&self.0.held);
                self.0.gate.notified().await;
                Ok(Response::new(LeaseTasksResponse::default()))
            }

            $(async fn $name(&self, _: Request<$request>) -> Result<Response<$response>, Status> {
                Err(Status::unimplemented("no test asks for it"))
            })+
        }
    };
}

work_service! {
    renew_leases(RenewLeasesRequest) -> RenewLeasesResponse;
    accept_task(AcceptTaskRequest) -> AcceptTaskResponse;
    start_task(StartTaskRequest) -> StartTaskResponse;
    report_progress(ReportProgressRequest) -> ReportProgressResponse;
    complete_task(CompleteTaskRequest) -> CompleteTaskResponse;
    batch_complete_tasks(BatchCompleteTasksRequest) -> BatchCompleteTasksResponse;
    fail_task(FailTaskRequest) -> FailTaskResponse;
    reject_task(RejectTaskRequest) -> RejectTaskResponse;
    suspend_task(SuspendTaskRequest) -> SuspendTaskResponse;
    delegate_task(DelegateTaskRequest) -> DelegateTaskResponse;
    create_subtask(CreateSubtaskRequest) -> CreateSubtaskResponse;
    wait_subtasks(WaitSubtasksRequest) -> WaitSubtasksResponse;
}
