//! Taking connections until the drain.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::connection::Connections;
use crate::metrics::Metrics;
use crate::rpc::Handle;

/// Out of file handles, most likely: others must end before one can be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves every connection that `listener` takes, until the drain begins.
pub(super) async fn accept<H: Handle>(
    listener: TcpListener,
    connections: Arc<Connections<H>>,
    metrics: Metrics,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = connections.drain.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (serving, counted) = (connections.clone(), metrics.connection());
                let task = async move {
                    let _counted = counted;
                    serving.serve(stream).await;
                };
                crate::spawn("connection", connections.tasks.track_future(task));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
