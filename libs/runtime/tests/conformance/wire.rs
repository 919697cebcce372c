//! A client without opinions: hyper over one connection.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::{Body as _, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use reeve_status::Fault;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Status;
use tonic::body::Body;
use tower::util::BoxCloneService;

/// One connection, as the generated clients want it.
pub type Connection = BoxCloneService<Request<Body>, Response<Incoming>, hyper::Error>;

/// Connects.
pub async fn connect(address: SocketAddr) -> Connection {
    let stream = TcpStream::connect(address)
        .await
        .expect("the server listens");
    let (send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("the server speaks HTTP/2");
    reeve_runtime::spawn("client connection", connection);
    let service = tower::service_fn(move |mut request: Request<Body>| {
        let mut send = send.clone();
        // Generated clients leave out what HTTP/2 asks for.
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        *request.uri_mut() = format!("http://server{path}").parse().expect("a URI");
        async move {
            send.ready().await?;
            send.send_request(request).await
        }
    });
    BoxCloneService::new(service)
}

/// Sends bytes to a path as a gRPC client would; returns the HTTP answer and the gRPC status.
pub async fn raw(
    connection: &mut Connection,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (http::StatusCode, Option<Status>) {
    let mut request = Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Body::new(axum::body::Body::from(body));
    let request = request.body(body).expect("a well-formed request");
    let response = tower::ServiceExt::oneshot(connection.clone(), request)
        .await
        .expect("an answer");
    let (parts, mut body) = response.into_parts();
    let mut status = Status::from_header_map(&parts.headers);
    while let Some(frame) =
        std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context)).await
    {
        let Ok(frame) = frame else { break };
        if let Some(trailers) = frame.trailers_ref() {
            status = Status::from_header_map(trailers);
        }
    }
    (parts.status, status)
}

/// The status as Reeve's clients read it; fails unless it carries an ErrorInfo.
pub fn fault(status: &Status) -> Fault {
    use tonic_types::StatusExt as _;
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("{status:?} has no ErrorInfo"));
    assert_eq!(info.domain, "reeve");
    Fault::from(status)
}

/// GET over HTTP/1.1: the status line's number and the body.
pub async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address)
        .await
        .expect("the admin port listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("the admin port reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("the admin port answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    (code.expect("a status line"), body.to_owned())
}

/// Waits until `check` holds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    let began = Instant::now();
    while !check().await {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
