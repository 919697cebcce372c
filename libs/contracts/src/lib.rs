//! The generated types, clients and servers of every contract under `proto/`, with their
//! descriptor set. Nothing here is written by hand: packages become modules, so
//! `reeve.task.v1.Task` is [`reeve::task::v1::Task`].

// Generated code follows prost's habits, not this workspace's.
#![allow(
    missing_docs,
    clippy::all,
    clippy::cast_possible_truncation,
    rustdoc::invalid_html_tags,
    rustdoc::broken_intra_doc_links,
    rustdoc::bare_urls
)]

include!(concat!(env!("OUT_DIR"), "/contracts.rs"));

pub use reeve::*;

/// Every contract with its comments, imports and options, as reflection serves it.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

/// Each RPC's path ("/reeve.task.v1.TaskService/CreateTask") and the permission its contract
/// declares; empty where the contract declares none, which a test refuses.
pub const PERMISSIONS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/permissions.rs"));

#[cfg(test)]
mod tests {
    #[test]
    fn every_rpc_declares_its_permission() {
        let missing: Vec<_> = super::PERMISSIONS
            .iter()
            .filter(|(_, permission)| permission.is_empty())
            .collect();
        assert!(
            missing.is_empty(),
            "RPCs without a permission option: {missing:?}"
        );
        assert!(
            !super::PERMISSIONS.is_empty(),
            "the table of permissions is empty"
        );
    }

    #[test]
    fn every_permission_is_a_resource_and_a_verb() {
        for (rpc, permission) in super::PERMISSIONS {
            let parts: Vec<_> = permission.split('.').collect();
            let words = parts.iter().all(|part| {
                !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            });
            assert!(parts.len() >= 2 && words, "{rpc} declares {permission:?}");
        }
    }
}
