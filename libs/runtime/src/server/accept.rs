//! Taking connections until the drain, as many as there is room for.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::connection::Connections;
use super::room::Room;
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
    let room = Room::new(&connections.limits);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = connections.drain.cancelled() => return,
        };
        match accepted {
            Ok((stream, client)) => {
                let Some(place) = room.take(client.ip()) else {
                    metrics.connection_refused();
                    tracing::debug!(%client, "no room for another connection");
                    continue;
                };
                let (serving, counted) = (connections.clone(), metrics.connection());
                let task = async move {
                    let _held = (place, counted);
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
