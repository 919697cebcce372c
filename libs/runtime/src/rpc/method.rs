//! What the contracts say of each RPC.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// Services that the runtime adds to every server, open to everyone.
pub(super) const OPEN: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Services of other people's contracts, whose callers can send a credential in the message only. Their
/// handlers admit the caller by themselves; everything else of the stack holds for them as for all.
const ADMITTING: [&str; 1] = ["externalscaler.ExternalScaler"];

/// Unary RPCs that mostly wait for something to come.
const LONG_POLLS: [&str; 1] = ["reeve.task.v1.WorkService/LeaseTasks"];

/// One RPC.
#[derive(Debug)]
pub(super) struct Method {
    /// "reeve.task.v1.TaskService/CreateTask", as metrics and logs name it.
    pub(super) name: &'static str,
    /// "reeve.task.v1.TaskService".
    service: &'static str,
    /// Whether either side sends more than one message.
    pub(super) streams: bool,
    /// Whether a call mostly waits.
    pub(super) long_poll: bool,
    /// Whether no credential is needed.
    pub(super) open: bool,
    /// Whether its handler looks for the credential in the message.
    pub(super) admits: bool,
    /// The permission that its contract declares.
    pub(super) permission: Option<&'static str>,
}

/// The RPCs of one server.
pub(super) struct Methods(HashSet<&'static str>);

impl Methods {
    /// The RPCs of these services, and those of health and reflection.
    pub(super) fn served(services: &[&'static str]) -> Self {
        Self(services.iter().copied().chain(OPEN).collect())
    }

    /// The RPC at a path "/package.Service/Method".
    pub(super) fn at(&self, path: &str) -> Option<&'static Method> {
        ALL.get(path.strip_prefix('/')?)
            .filter(|method| self.0.contains(method.service))
    }
}

static ALL: LazyLock<HashMap<&'static str, Method>> = LazyLock::new(|| {
    let sets = [
        reeve_contracts::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut methods = HashMap::new();
    for set in sets {
        let set = FileDescriptorSet::decode(set).expect("compiled-in descriptors decode");
        for file in set.file {
            for service in &file.service {
                let full = format!("{}.{}", file.package(), service.name());
                // Leaked once per process: metrics label with it.
                let full: &'static str = full.leak();
                for method in &service.method {
                    let name: &'static str = format!("{full}/{}", method.name()).leak();
                    let streams = method.client_streaming() || method.server_streaming();
                    let permission = reeve_auth::permissions::required(&format!("/{name}"));
                    let open = OPEN.contains(&full);
                    let method = Method {
                        name,
                        service: full,
                        streams,
                        long_poll: LONG_POLLS.contains(&name),
                        open,
                        admits: ADMITTING.contains(&full),
                        permission,
                    };
                    methods.insert(name, method);
                }
            }
        }
    }
    methods
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_polls_are_unary_rpcs_of_a_contract() {
        for name in LONG_POLLS {
            let method = ALL.get(name).unwrap_or_else(|| panic!("no RPC {name}"));
            assert!(method.long_poll && !method.streams, "{name}");
        }
    }

    #[test]
    fn only_what_is_served_is_known() {
        let methods = Methods::served(&["reeve.event.v1.EventFeedService"]);
        let feed = methods
            .at("/reeve.event.v1.EventFeedService/ReadEvents")
            .expect("served");
        assert_eq!((feed.streams, feed.open), (false, false));
        assert_eq!(feed.permission, Some("internal.events.read"));
        let watch = methods
            .at("/grpc.health.v1.Health/Watch")
            .expect("always served");
        assert!(watch.streams && watch.open);
        for open in OPEN {
            assert!(ALL.values().any(|method| method.service == open), "{open}");
        }
        for admitting in ADMITTING {
            let mut of_it = ALL.values().filter(|method| method.service == admitting);
            let first = of_it.next().unwrap_or_else(|| panic!("no {admitting}"));
            assert!(first.admits && !first.open && first.permission.is_none());
        }
        let none = Methods::served(&[]);
        assert!(
            none.at("/reeve.event.v1.EventFeedService/ReadEvents")
                .is_none()
        );
        assert!(
            methods
                .at("/reeve.event.v1.EventFeedService/Nothing")
                .is_none()
        );
        assert!(methods.at("").is_none());
    }
}
