//! Roles, schemas and migrations.
//!
//! Each service has two roles: `<schema>_owner`, which owns the schema and migrates it, and
//! `<schema>_app`, which reads and writes rows, has no DDL and cannot enter another schema. The
//! administrator's connection creates both, then acts as the owner, so that nothing belongs to the
//! administrator.

use sqlx::migrate::{Migrate as _, Migrator};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

static TENANT_SCOPE: Migrator = sqlx::migrate!("./migrations");

/// A service's schema: its name and the migrations that make it, in order.
#[derive(Debug, Clone)]
pub struct Schema {
    name: &'static str,
    parts: Vec<(&'static str, &'static Migrator)>,
}

impl Schema {
    /// A schema with the tenant scope that every service has.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            parts: vec![("tenant_scope", &TENANT_SCOPE)],
        }
    }

    /// Adds a part, which keeps its own record of what was applied.
    #[must_use]
    pub fn with(mut self, part: &'static str, migrations: &'static Migrator) -> Self {
        self.parts.push((part, migrations));
        self
    }

    /// The schema's name in PostgreSQL.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The role that reads and writes rows.
    pub fn app_role(&self) -> String {
        format!("{}_app", self.name)
    }

    /// Whether the database has every migration of this schema, as it is here.
    pub(crate) async fn is_applied(
        &self,
        connection: &mut PgConnection,
    ) -> Result<bool, sqlx::Error> {
        for (part, migrations) in &self.parts {
            let query = format!(
                "select version, checksum from {}._migrations_{part} where success",
                self.name
            );
            let applied: Vec<(i64, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(query))
                .fetch_all(&mut *connection)
                .await?;
            let is_applied = |version, checksum: &[u8]| {
                let mut applied = applied.iter();
                applied.any(|one| one.0 == version && one.1 == checksum)
            };
            if !migrations
                .iter()
                .all(|one| is_applied(one.version, &one.checksum))
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Checksums of every migration, for a test's template key.
    pub fn fingerprint(&self) -> Vec<u8> {
        let migrations = self.parts.iter().flat_map(|(_, migrator)| migrator.iter());
        let mut bytes = self.name.as_bytes().to_vec();
        bytes.extend(migrations.flat_map(|migration| migration.checksum.iter().copied()));
        bytes
    }
}

/// What the app role's password becomes.
#[derive(Clone)]
pub enum AppPassword {
    /// Set it; `reeve up` and tests know it from the start.
    Set(String),
    /// Leave it: an administrator manages roles.
    Keep,
}

/// A migration that did not succeed; the message names the schema.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The administrator's connection failed.
    #[error("cannot reach PostgreSQL to migrate")]
    Connect(#[source] sqlx::Error),
    /// Roles or the schema could not be made.
    #[error("cannot prepare schema {schema}")]
    Prepare {
        /// The schema.
        schema: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// A migration failed; it was rolled back.
    #[error("cannot migrate schema {schema}")]
    Migrate {
        /// The schema.
        schema: &'static str,
        /// Why.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
}

/// Brings schemas up to date. Safe to repeat, and safe beside another that does the same.
///
/// # Errors
/// When the connection, a role, a schema or a migration fails; earlier ones stay applied.
pub async fn migrate(
    admin_url: &str,
    schemas: &[&Schema],
    password: &AppPassword,
) -> Result<(), MigrateError> {
    let mut connection = PgConnection::connect(admin_url)
        .await
        .map_err(MigrateError::Connect)?;
    for schema in schemas {
        connection
            .lock()
            .await
            .map_err(|source| MigrateError::Migrate {
                schema: schema.name,
                source,
            })?;
        prepare(&mut connection, schema, password)
            .await
            .map_err(|source| MigrateError::Prepare {
                schema: schema.name,
                source,
            })?;
        apply(&mut connection, schema)
            .await
            .map_err(|source| MigrateError::Migrate {
                schema: schema.name,
                source,
            })?;
        execute(&mut connection, "reset role; reset search_path".to_owned())
            .await
            .map_err(|source| MigrateError::Prepare {
                schema: schema.name,
                source,
            })?;
        connection
            .unlock()
            .await
            .map_err(|source| MigrateError::Migrate {
                schema: schema.name,
                source,
            })?;
    }
    connection.close().await.map_err(MigrateError::Connect)
}

/// Creates a database unless it exists.
///
/// # Errors
/// When the connection fails or its role may not create databases.
pub async fn ensure_database(admin_url: &str, name: &str) -> Result<(), MigrateError> {
    let mut connection = PgConnection::connect(admin_url)
        .await
        .map_err(MigrateError::Connect)?;
    let exists = sqlx::query("select from pg_database where datname = $1").bind(name);
    let exists = exists
        .fetch_optional(&mut connection)
        .await
        .map_err(MigrateError::Connect)?;
    if exists.is_none() {
        let quoted = name.replace('"', "\"\"");
        let created = execute(&mut connection, format!("create database \"{quoted}\"")).await;
        created.map_err(MigrateError::Connect)?;
    }
    connection.close().await.map_err(MigrateError::Connect)
}

async fn apply(
    connection: &mut PgConnection,
    schema: &Schema,
) -> Result<(), sqlx::migrate::MigrateError> {
    for (part, migrations) in &schema.parts {
        let mut migrator = Migrator::with_migrations(migrations.iter().cloned().collect());
        migrator.dangerous_set_table_name(format!("{}._migrations_{part}", schema.name));
        // The lock is held around the roles too.
        migrator.set_locking(false);
        migrator.run(&mut *connection).await?;
    }
    Ok(())
}

async fn prepare(
    connection: &mut PgConnection,
    schema: &Schema,
    password: &AppPassword,
) -> Result<(), sqlx::Error> {
    let name = schema.name;
    execute(connection, ROLES_AND_SCHEMA.replace("{schema}", name)).await?;
    if let AppPassword::Set(password) = password {
        let quoted = password.replace('\'', "''");
        execute(
            connection,
            format!("alter role {name}_app password '{quoted}'"),
        )
        .await?;
    }
    execute(
        connection,
        format!("set role {name}_owner; set search_path = {name}"),
    )
    .await
}

async fn execute(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .map(drop)
}

/// Roles belong to the whole server, so they may exist already, and two databases may race to make
/// them. The administrator joins the owner's role to act as it. From PostgreSQL 16 on, whoever
/// creates a role is its member at once, yet may neither inherit from it nor become it: both are
/// granted expressly.
const ROLES_AND_SCHEMA: &str = r"
do $$
begin
    if not exists (select from pg_roles where rolname = '{schema}_owner') then
        create role {schema}_owner nologin;
    end if;
exception when duplicate_object or unique_violation then null;
end $$;
do $$
begin
    if not exists (select from pg_roles where rolname = '{schema}_app') then
        create role {schema}_app login nosuperuser nocreatedb nocreaterole nobypassrls;
    end if;
exception when duplicate_object or unique_violation then null;
end $$;
do $$
begin
    if current_setting('server_version_num')::integer < 160000 then
        if not pg_has_role(current_user, '{schema}_owner', 'member') then
            execute format('grant {schema}_owner to %I', current_user);
        end if;
    elsif not pg_has_role(current_user, '{schema}_owner', 'usage')
        or not pg_has_role(current_user, '{schema}_owner', 'set') then
        execute format('grant {schema}_owner to %I with inherit true, set true', current_user);
    end if;
end $$;
create schema if not exists {schema} authorization {schema}_owner;
grant usage on schema {schema} to {schema}_app;
alter default privileges for role {schema}_owner in schema {schema}
    grant select, insert, update, delete on tables to {schema}_app;
alter default privileges for role {schema}_owner in schema {schema}
    grant usage, select on sequences to {schema}_app;
";
