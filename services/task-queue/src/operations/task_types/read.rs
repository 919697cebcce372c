//! GetTaskType and ListTaskTypes. Both read the table rather than what is known in memory, so whoever
//! has changed a type anywhere reads it as it is.

use std::ops::Bound;

use reeve_ids::TenantId;
use reeve_status::Fault;

use crate::domain::{BUILT_IN, Category, TaskType};
use crate::{Error, Queue, storage};

/// One type, built in or the tenant's own.
///
/// # Errors
/// NOT_FOUND.
pub async fn get_type(queue: &Queue, tenant: TenantId, name: &str) -> Result<TaskType, Fault> {
    if let Some(entry) = BUILT_IN.get(name) {
        return Ok(entry.kind.clone());
    }
    let read = async {
        let mut tx = queue.shared.database.tenant(tenant).await?;
        let found = storage::get_type(&mut tx, tenant, name).await?;
        tx.commit().await?;
        found.ok_or_else(|| Error::NoTaskType(name.to_owned()))
    };
    Ok(read.await?)
}

/// Which types a list is about.
#[derive(Debug, Clone, Copy)]
pub struct TypeFilter {
    /// Of this category alone.
    pub category: Option<Category>,
    /// Whether built-in ones are among them.
    pub built_in: bool,
    /// Whether the tenant's own are among them.
    pub own: bool,
}

/// Types after a name, by name.
///
/// # Errors
/// UNAVAILABLE.
pub async fn list_types(
    queue: &Queue,
    tenant: TenantId,
    filter: TypeFilter,
    after: &str,
    limit: i64,
) -> Result<Vec<TaskType>, Fault> {
    let mut types = if filter.own {
        own(queue, tenant, filter.category, after, limit).await?
    } else {
        Vec::new()
    };
    if filter.built_in {
        types.extend(built_in(filter.category, after));
        types.sort_by(|a, b| a.name.cmp(&b.name));
    }
    types.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(types)
}

async fn own(
    queue: &Queue,
    tenant: TenantId,
    category: Option<Category>,
    after: &str,
    limit: i64,
) -> Result<Vec<TaskType>, Error> {
    let mut tx = queue.shared.database.tenant(tenant).await?;
    let types = storage::list_types(&mut tx, tenant, after, category, limit).await?;
    tx.commit().await?;
    Ok(types)
}

fn built_in(category: Option<Category>, after: &str) -> impl Iterator<Item = TaskType> {
    let later = BUILT_IN.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
    later
        .map(|(_, entry)| &entry.kind)
        .filter(move |kind| category.is_none_or(|category| kind.category == category))
        .cloned()
}
