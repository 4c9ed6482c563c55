//! Passwords against bcrypt hashes. A hash costs a tenth of a second on purpose, so a right password is remembered, by a
//! hash of its own, and guesses are made to queue.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::config::Secret;

/// Passwords that are remembered.
const REMEMBERED: usize = 100;
/// Hashes that are computed at a time: fewer than the machine has cores, for probing goes on.
const AT_A_TIME: usize = 1;

/// Of nobody, at the usual cost: an unknown user must take as long as a known one.
const NOBODY: &str = "$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";

pub(super) struct Passwords {
    right: Mutex<HashSet<[u8; 32]>>,
    permits: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { right: Mutex::default(), permits: Arc::new(Semaphore::new(AT_A_TIME)) }
    }
}

impl Passwords {
    /// Whether the request has the password of one of `users`.
    pub(super) async fn check(&self, users: &[(String, Secret)], headers: &HeaderMap) -> bool {
        let Some((name, password)) = credentials(headers) else { return false };
        let known = users.iter().find(|(user, _)| *user == name);
        let hash = known.map_or(NOBODY, |(_, hash)| hash.expose()).to_owned();
        // With the hash in it, so that a changed password is forgotten.
        let mut memory = Sha256::new();
        for part in [name.as_bytes(), hash.as_bytes(), password.as_slice()] {
            memory.update((part.len() as u64).to_le_bytes());
            memory.update(part);
        }
        let memory: [u8; 32] = memory.finalize().into();
        if known.is_some() && self.right().contains(&memory) {
            return true;
        }
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else { return false };
        // Goes on when the client has gone; the permit with it.
        let right = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            bcrypt::verify(password, &hash).unwrap_or(false)
        });
        let right = right.await.unwrap_or(false) && known.is_some();
        if right {
            let mut all = self.right();
            if all.len() >= REMEMBERED {
                all.clear();
            }
            all.insert(memory);
        }
        right
    }

    fn right(&self) -> std::sync::MutexGuard<'_, HashSet<[u8; 32]>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// RFC 7617.
fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let name = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some((name, decoded[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        headers
    }

    fn basic(name: &str, password: &str) -> HeaderMap {
        headers(&format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}"))))
    }

    #[tokio::test]
    async fn the_right_password_of_a_known_user_alone_is_right() {
        let users = [("me".to_owned(), Secret::new(bcrypt::hash("right:one", 4).unwrap()))];
        let passwords = Passwords::default();
        assert!(passwords.check(&users, &basic("me", "right:one")).await);
        assert!(passwords.check(&users, &basic("me", "right:one")).await, "remembered");
        assert_eq!(passwords.right().len(), 1);
        for bad in [
            basic("me", "wrong"),
            basic("you", "right:one"),
            basic("me", ""),
            headers("Basic !!"),
            headers("Bearer right:one"),
            headers("Basic"),
            HeaderMap::new(),
        ] {
            assert!(!passwords.check(&users, &bad).await, "{bad:?}");
        }
        let changed = [("me".to_owned(), Secret::new(bcrypt::hash("another", 4).unwrap()))];
        assert!(!passwords.check(&changed, &basic("me", "right:one")).await, "the memory goes with the hash");
    }

    #[test]
    fn the_hash_of_nobody_is_a_hash() {
        assert!(NOBODY.parse::<bcrypt::HashParts>().is_ok());
    }
}
