//! Hashing of passwords, for tenants that sync them.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use scim_core::Document;
use scim_core::patch::{PasswordEdit, Patch};
use tokio::sync::Semaphore;

use crate::service::provision::writer::Writer;
use crate::service::{Context, Error, PasswordSync, Service};
use crate::store::ResourceId;
use crate::store::tables::resources;
use crate::store::tables::resources::Password;

/// How many passwords are hashed at the same time, in the whole process: each takes 19 MiB and a
/// core.
pub const MAX_CONCURRENT: usize = 4;

static PERMITS: Semaphore = Semaphore::const_new(MAX_CONCURRENT);

/// Returns the argon2id hash of a password, as a PHC string. It takes tens of milliseconds, so it
/// runs off the event loop.
pub async fn hash(password: String) -> Result<String, Error> {
    let _permit = PERMITS.acquire().await.map_err(Error::internal)?;
    tokio::task::spawn_blocking(move || hash_blocking(&password))
        .await
        .map_err(Error::internal)?
}

/// Returns whether `hash` is a hash of `password`.
pub async fn matches(password: String, hash: String) -> Result<bool, Error> {
    let _permit = PERMITS.acquire().await.map_err(Error::internal)?;
    tokio::task::spawn_blocking(move || {
        Argon2::default()
            .verify_password(password.as_bytes(), hash.as_str())
            .is_ok()
    })
    .await
    .map_err(Error::internal)
}

/// Returns the hash to store. A password that equals the stored one, and any where passwords are
/// not synced, changes nothing.
pub(in crate::service) async fn resolve(
    service: &Service,
    context: &Context,
    id: &ResourceId,
    edit: PasswordEdit,
) -> Result<Password, Error> {
    if service.options.scim.password_sync == PasswordSync::Off || edit == PasswordEdit::Keep {
        return Ok(Password::Keep);
    }
    let tenant = context.tenant();
    let id = id.clone();
    let stored = service
        .store
        .query(tenant, move |conn| {
            Ok::<_, Error>(resources::password_hash(conn, tenant, &id)?)
        })
        .await?;
    match (edit, stored) {
        (PasswordEdit::Keep, _) | (PasswordEdit::Clear, None) => Ok(Password::Keep),
        (PasswordEdit::Clear, Some(_)) => Ok(Password::Clear),
        (PasswordEdit::Set(password), Some(stored)) => {
            if matches(password.clone(), stored).await? {
                Ok(Password::Keep)
            } else {
                Ok(Password::Set(hash(password).await?))
            }
        }
        (PasswordEdit::Set(password), None) => Ok(Password::Set(hash(password).await?)),
    }
}

/// As [`resolve`], for a PATCH: its operations are applied to the stored resource to know what they
/// do to the password.
pub(in crate::service) async fn resolve_patch(
    service: &Service,
    context: &Context,
    writer: &Writer,
    patch: &Patch,
) -> Result<Password, Error> {
    if service.options.scim.password_sync == PasswordSync::Off || !patch.sets_password() {
        return Ok(Password::Keep);
    }
    let tenant = context.tenant();
    let rt = Arc::clone(&writer.rt);
    let id = writer.id.clone();
    let patch = patch.clone();
    let edit = service
        .store
        .query(tenant, move |conn| {
            let stored = resources::get(conn, tenant, &rt.name, &id)?
                .ok_or_else(|| Error::no_resource(&rt, &id))?;
            let document = Document::parse(&stored.doc).map_err(Error::internal)?;
            Ok::<_, Error>(patch.apply(&rt, &document)?.password)
        })
        .await?;
    resolve(service, context, &writer.id, edit).await
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
        let first = hash_blocking("secret").unwrap();
        let second = hash_blocking("secret").unwrap();
        assert!(first.starts_with("$argon2id$") && !first.contains("secret"));
        assert_ne!(first, second);
    }
}
