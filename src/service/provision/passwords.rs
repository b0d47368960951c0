//! Hashing of passwords, for tenants that sync them.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use scim_core::patch::Patch;
use scim_core::{Document, ResourceType};
use tokio::sync::Semaphore;

use crate::service::{Context, Error, PasswordSync, Service};
use crate::store::ResourceId;
use crate::store::tables::resources;
use crate::store::tables::resources::Password;

/// How many passwords are worked on at once, in the whole process: each takes 19 MiB and a core.
pub const AT_ONCE: usize = 4;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// The argon2id hash of a password, as a PHC string. It takes tens of milliseconds, so it runs off the event loop.
///
/// # Errors
/// Where the random source or the hash fails.
pub async fn hash(password: String) -> Result<String, Error> {
    let _turn = TURNS.acquire().await.map_err(Error::internal)?;
    tokio::task::spawn_blocking(move || hash_blocking(&password))
        .await
        .map_err(Error::internal)?
}

/// Whether `password` is the one that `hash` was made of.
///
/// # Errors
/// Where the worker thread is gone.
pub async fn matches(password: String, hash: String) -> Result<bool, Error> {
    let _turn = TURNS.acquire().await.map_err(Error::internal)?;
    tokio::task::spawn_blocking(move || {
        Argon2::default()
            .verify_password(password.as_bytes(), hash.as_str())
            .is_ok()
    })
    .await
    .map_err(Error::internal)
}

/// The hash to store for a password of the request, where passwords are synced and it is not the stored one already.
/// `wish` is `None` where the request names no password and `Some(None)` where it clears it.
pub async fn wished(
    service: &Service,
    context: &Context,
    id: &ResourceId,
    wish: Option<Option<String>>,
) -> Result<Password, Error> {
    let (PasswordSync::On, Some(wish)) = (service.options.scim.password_sync, wish) else {
        return Ok(Password::Keep);
    };
    let (tenant, id) = (context.tenant(), id.clone());
    let stored = service
        .store
        .read(move |conn| Ok::<_, Error>(resources::password_hash(conn, tenant, &id)?))
        .await?;
    match (wish, stored) {
        (None, None) => Ok(Password::Keep),
        (None, Some(_)) => Ok(Password::Clear),
        (Some(password), Some(stored)) => {
            if matches(password.clone(), stored).await? {
                Ok(Password::Keep)
            } else {
                Ok(Password::Set(hash(password).await?))
            }
        }
        (Some(password), None) => Ok(Password::Set(hash(password).await?)),
    }
}

/// As [`wished`], for a PATCH: the edits have to be tried to know what they do to the password, and hashing
/// takes too long to be done within the write.
pub async fn patched(
    service: &Service,
    context: &Context,
    rt: &Arc<ResourceType>,
    id: &ResourceId,
    patch: &Patch,
) -> Result<Password, Error> {
    if service.options.scim.password_sync == PasswordSync::Off || !patch.sets_password() {
        return Ok(Password::Keep);
    }
    let (tenant, rt, patch, resource) =
        (context.tenant(), Arc::clone(rt), patch.clone(), id.clone());
    let wish = service
        .store
        .read(move |conn| {
            let stored = resources::get(conn, tenant, &rt.name, &resource)?
                .ok_or_else(|| Error::no_resource(&rt, &resource))?;
            let document = Document::parse(&stored.doc).map_err(Error::internal)?;
            Ok::<_, Error>(patch.apply(&rt, &document)?.password)
        })
        .await?;
    wished(service, context, id, wish).await
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
