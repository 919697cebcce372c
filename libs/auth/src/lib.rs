//! Principals, API keys, service tokens and the permission each RPC demands.
//!
//! Callers present an API key or a service token as `authorization: Bearer`. An [`Authenticator`]
//! turns the credential into a [`Principal`]; the runtime compares the principal's permissions with
//! the one that the RPC's contract declares ([`permissions::required`]) and puts a [`Caller`] into
//! the request. The tenant comes from the credential, never from the request.

mod api_key;
mod authenticator;
mod caller;
mod memory;
pub mod permissions;
mod principal;
mod remote;
mod service_token;

pub use api_key::{ApiKey, Pepper};
pub use authenticator::{Authenticator, Credential};
pub use caller::Caller;
pub use memory::{Memo, Memory, STALE};
pub use principal::{Principal, PrincipalKind};
pub use remote::RemoteAuthenticator;
pub use service_token::ServiceTokens;
