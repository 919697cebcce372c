//! The five schemas and `reeve migrate`.

use std::io::Write;

use anyhow::{Context as _, Result};
use clap::Args;
use reeve_postgres::{AppPassword, Schema};

/// Options of `reeve migrate`.
#[derive(Debug, Clone, Args)]
pub struct MigrateArgs {
    /// URL of a role that may create roles and schemas, in the database that Reeve shall use.
    #[arg(long, env = "REEVE_ADMIN_URL", hide_env_values = true)]
    pub admin_url: String,
    /// Password to give the app roles; without it, roles keep theirs.
    #[arg(long, env = "REEVE_APP_PASSWORD", hide_env_values = true)]
    pub app_password: Option<String>,
}

/// Every service's schema.
pub fn all() -> Vec<Schema> {
    vec![
        reeve_agent_registry::AgentRegistry::schema(),
        reeve_task_queue::TaskQueue::schema(),
        reeve_workflow_engine::schema(),
        reeve_finance::Finance::schema(),
        reeve_incident::Incident::schema(),
    ]
}

/// Brings every schema up to date.
pub async fn migrate(args: &MigrateArgs, out: &mut impl Write) -> Result<()> {
    let password = args
        .app_password
        .clone()
        .map_or(AppPassword::Keep, AppPassword::Set);
    let schemas = all();
    let schemas: Vec<_> = schemas.iter().collect();
    reeve_postgres::migrate(&args.admin_url, &schemas, &password)
        .await
        .context("cannot migrate")?;
    for schema in schemas {
        writeln!(
            out,
            "{} is up to date; its app role is {}",
            schema.name(),
            schema.app_role()
        )?;
    }
    Ok(())
}
