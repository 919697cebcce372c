//! A database per test. Migrations run once per server and set of schemas, into a template; a test
//! gets a copy, which takes some twenty milliseconds.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use reeve_postgres::{AppPassword, Database, DatabaseConfig, Schema, migrate};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::{TestPostgres, postgres};

/// One key for all templates: making one also makes roles, which all databases of a server share.
const TEMPLATE_LOCK: i64 = 0x7265_6576_6574_706C;

/// How long a test's end waits for its database to go.
const GRACE: Duration = Duration::from_secs(2);

/// A migrated database that no other test sees, dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    server: TestPostgres,
    name: String,
}

impl TestDatabase {
    /// A fresh database with these schemas.
    ///
    /// # Panics
    /// When the server or a migration fails; the message says which.
    pub async fn new(schemas: &[&Schema]) -> Self {
        let server = postgres().await;
        let template = template_name(schemas);
        let mut admin = connect(&server.admin_url("postgres")).await;
        if !exists(&mut admin, &template).await {
            create_template(&server, &mut admin, &template, schemas).await;
        }
        let name = format!("test_{}", Uuid::new_v4().simple());
        // A copy of files: with fsync off it is faster than a copy through the log.
        let copy = format!("create database {name} template {template} strategy file_copy");
        execute(&mut admin, copy).await;
        close(admin).await;
        Self { server, name }
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An administrator's URL, to look behind a service's back.
    pub fn admin_url(&self) -> String {
        self.server.admin_url(&self.name)
    }

    /// The URL of a schema's app role: what its service is given.
    pub fn url(&self, schema: &Schema) -> String {
        self.server
            .url(&schema.app_role(), &self.server.app_password(), &self.name)
    }

    /// The configuration of a schema's service. Its pools are small: many tests run at once.
    pub fn config(&self, schema: &Schema) -> DatabaseConfig {
        DatabaseConfig {
            max_connections: 6,
            max_internal_connections: 6,
            ..DatabaseConfig::with_url(self.url(schema))
        }
    }

    /// A service's door to its schema.
    ///
    /// # Panics
    /// Never, for the URL is well formed.
    pub fn connect(&self, schema: &Schema) -> Database {
        Database::connect(&self.config(schema), schema.name()).expect("the test's own URL")
    }

    /// One connection as the administrator.
    ///
    /// # Panics
    /// When the server refuses it.
    pub async fn admin(&self) -> PgConnection {
        connect(&self.admin_url()).await
    }
}

impl Drop for TestDatabase {
    /// Best effort, on a thread of its own because dropping cannot wait for the test's runtime. A
    /// process's own server goes away anyway, but until then the copies fill its memory. A connection
    /// of the test that is about to log in, and which only the test's runtime can drive, holds the
    /// database until it is dropped or times out: it is not waited for beyond `GRACE`.
    fn drop(&mut self) {
        let (url, name) = (self.server.admin_url("postgres"), self.name.clone());
        let (done, dropped) = mpsc::channel::<()>();
        thread::spawn(move || {
            let _done = done;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                if let Ok(mut admin) = PgConnection::connect(&url).await {
                    let drop = format!("drop database if exists {name} with (force)");
                    let _ = sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut admin).await;
                }
            });
        });
        let _ = dropped.recv_timeout(GRACE);
    }
}

/// The same migrations give the same name, in every process of this version.
fn template_name(schemas: &[&Schema]) -> String {
    let fingerprints: Vec<u8> = schemas
        .iter()
        .flat_map(|schema| schema.fingerprint())
        .collect();
    format!(
        "template_{}",
        Uuid::new_v5(&Uuid::NAMESPACE_OID, &fingerprints).simple()
    )
}

/// The template gets its name last, so a half-made one never counts.
async fn create_template(
    server: &TestPostgres,
    admin: &mut PgConnection,
    template: &str,
    schemas: &[&Schema],
) {
    execute(admin, format!("select pg_advisory_lock({TEMPLATE_LOCK})")).await;
    if !exists(admin, template).await {
        let unfinished = format!("unfinished_{}", Uuid::new_v4().simple());
        execute(admin, format!("create database {unfinished}")).await;
        let password = AppPassword::Set(server.app_password());
        if let Err(error) = migrate(&server.admin_url(&unfinished), schemas, &password).await {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            panic!("{error}: {}", cause.unwrap_or_default());
        }
        execute(
            admin,
            format!("alter database {unfinished} rename to {template}"),
        )
        .await;
    }
    execute(admin, format!("select pg_advisory_unlock({TEMPLATE_LOCK})")).await;
}

async fn exists(admin: &mut PgConnection, database: &str) -> bool {
    let query = sqlx::query_scalar("select exists (select from pg_database where datname = $1)");
    query
        .bind(database)
        .fetch_one(admin)
        .await
        .expect("pg_database is readable")
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url)
        .await
        .unwrap_or_else(|error| panic!("no test database: {error}"))
}

async fn execute(admin: &mut PgConnection, sql: String) {
    let result = sqlx::raw_sql(AssertSqlSafe(sql.as_str().to_owned()))
        .execute(admin)
        .await;
    result.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn close(admin: PgConnection) {
    // The server notices a closed socket by itself.
    let _ = admin.close().await;
}
