//! A service behind a real listener, with credentials that the test issues.

use std::sync::Arc;

use reeve_ids::TenantId;
use reeve_postgres::Schema;
use reeve_runtime::{ReadyProbe, Service};
use reeve_testkit::{StaticAuthenticator, TestDatabase, authorize, deps, eventually, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn service(auth: Arc<StaticAuthenticator>, database: reeve_postgres::Database) -> Service {
    Service {
        name: "testkit",
        routes: tonic::service::Routes::default(),
        grpc_services: Vec::new(),
        loops: Vec::new(),
        authenticator: auth,
        ready: ReadyProbe::new(move || {
            let database = database.clone();
            async move {
                database
                    .is_reachable()
                    .await
                    .then_some(())
                    .ok_or("no database")
            }
        }),
    }
}

#[tokio::test]
async fn a_service_becomes_ready_and_stops() {
    let schema = Schema::new("testkit");
    let database = TestDatabase::new(&[&schema]).await;
    let deps = deps("testkit", &schema, &database).await;
    let running = serve(
        service(StaticAuthenticator::new(), deps.database.clone()),
        &deps,
    )
    .await;
    let admin = running.admin();
    eventually(|| async {
        let mut stream = TcpStream::connect(admin).await?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        if answer.contains("200 OK") {
            Ok(())
        } else {
            Err(std::io::Error::other(answer))
        }
    })
    .await;
    let address = running.address();
    running.stop().await;
    TcpStream::connect(address)
        .await
        .expect_err("nobody listens any more");
}

#[tokio::test]
async fn a_key_is_good_for_its_tenant_and_permissions() {
    use reeve_auth::{Authenticator as _, Credential};

    let auth = StaticAuthenticator::new();
    let (one, two) = (TenantId::new(), TenantId::new());
    let (admin, reader) = (auth.admin(one), auth.key(two, &["tasks.read"]));
    let principal = auth.authenticate(&Credential::new(admin)).await.unwrap();
    assert!(principal.tenant_id == one && principal.holds("tasks.create"));
    let principal = auth
        .authenticate(&Credential::new(reader.clone()))
        .await
        .unwrap();
    assert!(principal.tenant_id == two && principal.holds("tasks.read"));
    assert!(!principal.holds("tasks.create"));
    auth.authenticate(&Credential::new("another"))
        .await
        .unwrap_err();
    let request = authorize(&reader, ());
    let header = request
        .metadata()
        .get("authorization")
        .unwrap()
        .to_str()
        .unwrap();
    assert_eq!(header, format!("Bearer {reader}"));
}
