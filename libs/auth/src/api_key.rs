//! API keys: `rvk_<32 hex digits: the key's id>_<43 base64url characters: the secret>`. The id
//! finds the row; only an HMAC of the 256-bit secret is stored, so a stolen table opens nothing. A
//! slow password hash would add latency to every call and no strength to a random secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use rand::RngCore as _;
use reeve_ids::{ApiKeyId, Uuid};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

const PREFIX: &str = "rvk_";

/// An API key with its secret. It is shown once and never printed by accident.
#[derive(Clone)]
pub struct ApiKey {
    id: ApiKeyId,
    secret: [u8; 32],
}

impl ApiKey {
    /// A new key with a random secret.
    pub fn generate() -> Self {
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut secret);
        Self {
            id: ApiKeyId::new(),
            secret,
        }
    }

    /// The key that a text spells; nothing when it is not a key.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        if id.len() != 32 || id.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let id = ApiKeyId::from_uuid(Uuid::try_parse(id).ok()?);
        let secret = URL_SAFE_NO_PAD.decode(secret).ok()?.try_into().ok()?;
        Some(Self { id, secret })
    }

    /// Which key it is; not a secret.
    pub fn id(&self) -> ApiKeyId {
        self.id
    }

    /// The text that a caller presents.
    pub fn reveal(&self) -> String {
        let secret = URL_SAFE_NO_PAD.encode(self.secret);
        format!("{PREFIX}{}_{secret}", self.id.uuid().simple())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ApiKey({}, redacted)", self.id)
    }
}

/// The server-side secret that is mixed into every stored hash.
#[derive(Clone)]
pub struct Pepper(Vec<u8>);

impl Pepper {
    /// A pepper from configuration.
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Self(secret.into())
    }

    /// What is stored of a key.
    pub fn hash(&self, key: &ApiKey) -> Vec<u8> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(key.id.uuid().as_bytes());
        mac.update(&key.secret);
        mac.finalize().into_bytes().to_vec()
    }

    /// Whether a key is the one whose hash is stored, in constant time.
    pub fn verify(&self, key: &ApiKey, stored: &[u8]) -> bool {
        self.hash(key).ct_eq(stored).into()
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pepper(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text() {
        let key = ApiKey::generate();
        let parsed = ApiKey::parse(&key.reveal()).expect("its own text is a key");
        let pepper = Pepper::new("pepper");
        assert_eq!(parsed.id(), key.id());
        assert!(pepper.verify(&parsed, &pepper.hash(&key)));
    }

    #[test]
    fn another_secret_or_pepper_does_not_verify() {
        let key = ApiKey::generate();
        let other = ApiKey {
            id: key.id,
            secret: [7; 32],
        };
        let pepper = Pepper::new("pepper");
        assert!(!pepper.verify(&other, &pepper.hash(&key)));
        assert!(!Pepper::new("salt").verify(&key, &pepper.hash(&key)));
    }

    #[test]
    fn refuses_what_is_not_a_key() {
        let text = ApiKey::generate().reveal();
        for bad in [
            "",
            "rvk_",
            "rvk_1_2",
            &text[4..],
            &text[..text.len() - 1],
            &text.to_uppercase(),
        ] {
            assert!(ApiKey::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn never_prints_its_secret() {
        let key = ApiKey::generate();
        let secret = key
            .reveal()
            .splitn(3, '_')
            .nth(2)
            .map(str::to_owned)
            .unwrap();
        assert!(!format!("{key:?}").contains(&secret));
    }
}
