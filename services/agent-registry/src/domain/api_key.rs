//! API keys as the tenant sees them: without a secret.

use chrono::{DateTime, Utc};
use reeve_ids::{ApiKeyId, TenantId};

/// What sort of caller presents a key. Services have tokens instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// A person, or a program acting for one.
    User,
    /// An agent.
    Agent,
}

impl KeyKind {
    /// The word in the database and in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Agent => "AGENT",
        }
    }

    /// The kind that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::User, Self::Agent]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// Whether a key opens anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Valid.
    Active,
    /// Past its time.
    Expired,
    /// Revoked for good.
    Revoked,
}

impl KeyState {
    /// The word that queries use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Expired => "EXPIRED",
            Self::Revoked => "REVOKED",
        }
    }
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its unique name.
    pub name: String,
    /// When it was created.
    pub create_time: DateTime<Utc>,
}

/// A credential without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id, which is part of its text.
    pub id: ApiKeyId,
    /// Its tenant.
    pub tenant_id: TenantId,
    /// Name for people.
    pub name: String,
    /// What sort of caller presents it.
    pub kind: KeyKind,
    /// Patterns of the permissions it holds.
    pub permissions: Vec<String>,
    /// Subject of the principal that created it.
    pub created_by: String,
    /// When it was created.
    pub create_time: DateTime<Utc>,
    /// When it stops being valid.
    pub expire_time: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoke_time: Option<DateTime<Utc>>,
    /// Last use that was written down.
    pub last_use_time: Option<DateTime<Utc>>,
}

impl ApiKey {
    /// Whether it opens anything now. A revoked key stays revoked, expired or not.
    pub fn state(&self, now: DateTime<Utc>) -> KeyState {
        if self.revoke_time.is_some() {
            KeyState::Revoked
        } else if self.expire_time.is_some_and(|time| time <= now) {
            KeyState::Expired
        } else {
            KeyState::Active
        }
    }

    /// Its text with the secret masked.
    pub fn masked(&self) -> String {
        format!("rvk_{}_****", self.id.uuid().simple())
    }

    /// The stable name of the principal that it stands for.
    pub fn subject(&self) -> String {
        format!("key:{}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn revoked_wins_over_expired_and_expiry_is_exclusive() {
        let now = DateTime::UNIX_EPOCH;
        let key = ApiKey {
            id: ApiKeyId::new(),
            tenant_id: TenantId::new(),
            name: "k".into(),
            kind: KeyKind::User,
            permissions: Vec::new(),
            created_by: "bootstrap".into(),
            create_time: now,
            expire_time: None,
            revoke_time: None,
            last_use_time: None,
        };
        assert_eq!(key.state(now), KeyState::Active);
        let later = ApiKey {
            expire_time: Some(now + TimeDelta::seconds(1)),
            ..key.clone()
        };
        assert_eq!(later.state(now), KeyState::Active);
        let expired = ApiKey {
            expire_time: Some(now),
            ..key
        };
        assert_eq!(expired.state(now), KeyState::Expired);
        let revoked = ApiKey {
            revoke_time: Some(now),
            ..expired
        };
        assert_eq!(revoked.state(now), KeyState::Revoked);
    }
}
