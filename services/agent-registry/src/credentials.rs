//! From an API key's text to a principal, with a memory that outlives PostgreSQL's absence; and when
//! keys were last used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use reeve_auth::{
    ApiKey, Authenticator, Credential, Memo, Memory, Pepper, Principal, PrincipalKind,
    ServiceTokens,
};
use reeve_clock::Clock;
use reeve_ids::ApiKeyId;
use reeve_postgres::Database;
use reeve_status::Fault;

use crate::domain::api_key::{self, KeyKind, KeyState};
use crate::error::Error;
use crate::storage::api_keys;

/// How long a stored key is believed: how late this process hears of a revocation elsewhere.
const BELIEVED: TimeDelta = TimeDelta::seconds(10);
const CACHED_KEYS: u64 = 20_000;

type Stored = (api_key::ApiKey, Vec<u8>);

/// Checks API keys against their hashes. Cloning shares the memory.
#[derive(Clone)]
pub struct Credentials {
    database: Database,
    pepper: Pepper,
    clock: Arc<dyn Clock>,
    stored: Memory<ApiKeyId, Arc<Stored>>,
    uses: Arc<Mutex<HashMap<ApiKeyId, DateTime<Utc>>>>,
}

/// A valid API key.
#[derive(Debug)]
pub struct Resolved {
    /// Whom it stands for.
    pub principal: Principal,
    /// When it stops being valid.
    pub expire_time: Option<DateTime<Utc>>,
}

impl Credentials {
    /// Credentials in the service's schema.
    pub fn new(database: Database, pepper: Pepper, clock: Arc<dyn Clock>) -> Self {
        Self {
            database,
            pepper,
            clock,
            stored: Memory::new(CACHED_KEYS, BELIEVED),
            uses: Arc::default(),
        }
    }

    /// The hash that is stored of a key.
    pub fn hash(&self, key: &ApiKey) -> Vec<u8> {
        self.pepper.hash(key)
    }

    /// Whom a key stands for.
    ///
    /// # Errors
    /// The same for every kind of worthless key, so that it teaches nothing.
    pub async fn resolve(&self, text: &str) -> Result<Resolved, Error> {
        let presented = ApiKey::parse(text).ok_or(Error::CredentialInvalid)?;
        let now = self.clock.now();
        let stored = self.stored(presented.id(), now).await?;
        let (key, hash) = &*stored;
        if !self.pepper.verify(&presented, hash) || key.state(now) != KeyState::Active {
            return Err(Error::CredentialInvalid);
        }
        self.uses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.id, now);
        Ok(Resolved {
            principal: principal(key),
            expire_time: key.expire_time,
        })
    }

    async fn stored(&self, id: ApiKeyId, now: DateTime<Utc>) -> Result<Arc<Stored>, Error> {
        let aged = match self.stored.recall(&id, now).await {
            Memo::Fresh(stored) => return Ok(stored),
            Memo::Aged(stored) => Some(stored),
            Memo::None => None,
        };
        let found = match (self.find(id).await, aged) {
            // Without it nobody could be heard while PostgreSQL is away.
            (Err(Error::Database(error)), Some(aged)) if is_away(&error) => return Ok(aged),
            (found, _) => found?,
        };
        let Some(found) = found else {
            self.stored.forget(&id).await;
            return Err(Error::CredentialInvalid);
        };
        let stored = Arc::new(found);
        self.stored.learn(id, Arc::clone(&stored), now).await;
        Ok(stored)
    }

    async fn find(&self, id: ApiKeyId) -> Result<Option<Stored>, Error> {
        Ok(api_keys::resolve(self.database.internal_pool(), id).await?)
    }

    /// Makes the next use read the key anew.
    pub async fn outdate(&self, id: ApiKeyId) {
        self.stored.forget(&id).await;
    }

    /// Writes down when keys were last used, if any were since the last time.
    pub async fn save_uses(&self) -> Result<(), Error> {
        let uses: Vec<_> = {
            let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
            uses.drain().collect()
        };
        if uses.is_empty() {
            return Ok(());
        }
        Ok(api_keys::save_uses(self.database.internal_pool(), &uses).await?)
    }
}

fn is_away(error: &reeve_postgres::Error) -> bool {
    use reeve_postgres::Error::{Timeout, Unavailable};
    matches!(error, Unavailable(_) | Timeout(_))
}

fn principal(key: &api_key::ApiKey) -> Principal {
    Principal {
        tenant_id: key.tenant_id,
        kind: match key.kind {
            KeyKind::User => PrincipalKind::User,
            KeyKind::Agent => PrincipalKind::Agent,
        },
        subject: key.subject(),
        display_name: key.name.clone(),
        permissions: key.permissions.clone(),
    }
}

/// The registry's own authenticator: what the other services ask it, it answers itself.
pub struct LocalAuthenticator {
    credentials: Credentials,
    tokens: ServiceTokens,
}

impl LocalAuthenticator {
    /// An authenticator over resolved keys and service tokens.
    pub fn new(credentials: Credentials, tokens: ServiceTokens) -> Self {
        Self {
            credentials,
            tokens,
        }
    }
}

#[tonic::async_trait]
impl Authenticator for LocalAuthenticator {
    async fn authenticate(&self, credential: &Credential) -> Result<Principal, Fault> {
        let text = credential.reveal();
        if ServiceTokens::is_one(text) {
            return self.tokens.verify(text).ok_or_else(ServiceTokens::refusal);
        }
        Ok(self.credentials.resolve(text).await?.principal)
    }
}
