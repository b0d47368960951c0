//! Hashing of passwords, for tenants that sync them.

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};

use crate::service::Error;

/// The argon2id hash of a password, as a PHC string. It takes tens of milliseconds, so it runs off the event loop.
///
/// # Errors
/// Where the random source or the hash fails.
pub async fn hash(password: String) -> Result<String, Error> {
    tokio::task::spawn_blocking(move || hash_blocking(&password))
        .await
        .map_err(Error::internal)?
}

/// Whether `password` is the one that `hash` was made of.
///
/// # Errors
/// Where the worker thread is gone.
pub async fn matches(password: String, hash: String) -> Result<bool, Error> {
    tokio::task::spawn_blocking(move || {
        Argon2::default()
            .verify_password(password.as_bytes(), hash.as_str())
            .is_ok()
    })
    .await
    .map_err(Error::internal)
}

fn hash_blocking(password: &str) -> Result<String, Error> {
    let salt: [u8; 16] = crate::clock::random_bytes().map_err(Error::internal)?;
    let hash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| Error::internal(error.to_string()))?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_argon2id_and_salted() {
        let (one, two) = (
            hash_blocking("secret").unwrap(),
            hash_blocking("secret").unwrap(),
        );
        assert!(one.starts_with("$argon2id$") && !one.contains("secret"));
        assert_ne!(one, two);
    }
}
