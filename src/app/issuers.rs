//! The issuers of the settings, with their tenants and keys looked up.

use std::collections::BTreeMap;

use anyhow::Context as _;

use crate::auth::Fields;
use crate::auth::jwt::{Issuer, KeySet, TenantOf, TokenTypes};
use crate::config::IssuerSettings;
use crate::issuers::{Bounds, Issuers, Origin, Pace};
use crate::service::access::tenants;
use crate::service::access::tokens::DEFAULT_TENANT;
use crate::store::Store;

/// Looks up what the settings name.
pub async fn load(store: &Store, settings: &[IssuerSettings]) -> anyhow::Result<Issuers> {
    let mut entries = Vec::with_capacity(settings.len());
    for setting in settings {
        let tenant = tenant(store, setting)
            .await
            .with_context(|| format!("issuers: the tenant of {}", setting.issuer))?;
        let origin = origin(setting)?;
        let setting = setting.clone();
        let issuer = Issuer {
            issuer: setting.issuer,
            audience: setting.audience,
            tenant,
            scopes: setting.scopes,
            types: match &setting.types {
                Some(types) => TokenTypes::parse(types)?,
                None => TokenTypes::default(),
            },
            fields: setting.fields.map(Fields::parse).transpose()?,
        };
        entries.push((issuer, origin));
    }
    Ok(Issuers::new(entries, Pace::default(), Bounds::default()))
}

async fn tenant(store: &Store, setting: &IssuerSettings) -> anyhow::Result<TenantOf> {
    let Some(claim) = &setting.tenant_claim else {
        let name = setting.tenant.as_deref().unwrap_or(DEFAULT_TENANT);
        let tenant = tenants::by_name(store, name.to_owned()).await?;
        return Ok(TenantOf::One(tenant.id));
    };
    let mut tenants_by_value = BTreeMap::new();
    for (value, name) in &setting.tenants {
        let tenant = tenants::by_name(store, name.clone()).await?;
        tenants_by_value.insert(value.clone(), tenant.id);
    }
    Ok(TenantOf::Claim {
        name: claim.clone(),
        tenants: tenants_by_value,
    })
}

fn origin(setting: &IssuerSettings) -> anyhow::Result<Origin> {
    if let Some(url) = &setting.jwks_uri {
        return Ok(Origin::Address(url.clone()));
    }
    let Some(path) = &setting.jwks_file else {
        return Ok(Origin::Discovery);
    };
    let bytes =
        std::fs::read(path).with_context(|| format!("issuers: cannot open {}", path.display()))?;
    let keys = KeySet::parse(&bytes)
        .with_context(|| format!("issuers: {} is no JSON Web Key Set", path.display()))?;
    Ok(Origin::Fixed(keys))
}
