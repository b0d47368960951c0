//! What `rollcall setup` keeps here and reads here: its record, its token, what this service saw of
//! Okta, and who is stored. The state is a text to this layer; no secret enters a record.

use std::sync::Arc;

use jiff::Timestamp;

use crate::auth::{Scope, Scopes};
use crate::clock::Clock;
use crate::service::Error;
use crate::service::access::auth_attempts::AttemptSummary;
use crate::service::access::{auth_attempts, tokens};
use crate::store::tables::auth_attempts::TokenKey;
use crate::store::tables::{setup as rows, tenants};
use crate::store::{ResourceId, Store, TenantId};

pub use crate::store::tables::setup::{Ended, OktaGroup, Person, SetupWrite};

/// How much is read at once.
const PAGE: i64 = 1000;

/// The record of one tenant's setup in one org.
#[derive(Clone)]
pub struct Records {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    tenant: TenantId,
    tenant_name: String,
    org: String,
    token_limits: tokens::TokenLimits,
}

/// A token of ours, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenState {
    pub id: String,
    pub created_us: i64,
    pub expires_us: Option<i64>,
    pub last_used_us: Option<i64>,
    pub is_live: bool,
}

impl Records {
    /// # Errors
    /// [`Error::NotFound`] for a tenant that is not there.
    pub async fn open(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        tenant: String,
        org: String,
        token_limits: tokens::TokenLimits,
    ) -> Result<Self, Error> {
        let name = tenant.clone();
        let row = store
            .read(move |conn| Ok::<_, Error>(tenants::by_name(conn, &name)?))
            .await?
            .ok_or_else(|| Error::NotFound(format!("The tenant `{tenant}`")))?;
        Ok(Self {
            store,
            clock,
            tenant: row.id,
            tenant_name: row.name,
            org,
            token_limits,
        })
    }

    /// The state as it was saved last.
    pub async fn load(&self) -> Result<Option<String>, Error> {
        let tenant = self.tenant;
        let org = self.org.clone();
        self.store
            .read(move |conn| Ok::<_, Error>(rows::load(conn, tenant, &org)?))
            .await
    }

    pub async fn save(&self, state: String) -> Result<(), Error> {
        let tenant = self.tenant;
        let org = self.org.clone();
        let now_us = self.now_us();
        self.store
            .admin(move |conn| Ok::<_, Error>(rows::save(conn, tenant, &org, &state, now_us)?))
            .await
    }

    /// Forgets the state; the writes stay on record.
    pub async fn forget(&self) -> Result<(), Error> {
        let tenant = self.tenant;
        let org = self.org.clone();
        self.store
            .admin(move |conn| Ok::<_, Error>(rows::forget(conn, tenant, &org)?))
            .await
    }

    /// Notes a write before it is sent, saves the state that tells of it, and answers the id of the
    /// note.
    pub async fn begin(
        &self,
        step: &str,
        method: &str,
        path: &str,
        state: String,
    ) -> Result<String, Error> {
        let id = self.clock.new_id();
        let write = SetupWrite {
            id: id.clone(),
            step: step.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            began: self.now_us(),
            ended: None,
            status: None,
            request_id: None,
            error_code: None,
            error_id: None,
        };
        let tenant = self.tenant;
        let org = self.org.clone();
        let now_us = write.began;
        self.store
            .admin(move |conn| {
                rows::begin(conn, tenant, &org, &write)?;
                Ok::<_, Error>(rows::save(conn, tenant, &org, &state, now_us)?)
            })
            .await?;
        Ok(id)
    }

    /// Notes what became of a write, and saves the state that follows from it, both or neither.
    pub async fn end(&self, id: String, ended: Ended, state: String) -> Result<(), Error> {
        let tenant = self.tenant;
        let org = self.org.clone();
        let now_us = self.now_us();
        self.store
            .admin(move |conn| {
                rows::end(conn, tenant, &id, now_us, &ended)?;
                Ok::<_, Error>(rows::save(conn, tenant, &org, &state, now_us)?)
            })
            .await
    }

    /// The last writes, newest first.
    pub async fn writes(&self, limit: i64) -> Result<Vec<SetupWrite>, Error> {
        let tenant = self.tenant;
        let org = self.org.clone();
        self.store
            .read(move |conn| Ok::<_, Error>(rows::writes(conn, tenant, &org, limit)?))
            .await
    }

    /// Makes a token that may provision and nothing else, and answers its secret, which is nowhere
    /// else.
    ///
    /// # Errors
    /// [`Error::Conflict`] where a live token has this name.
    pub async fn make_token(
        &self,
        name: &str,
        expires: Option<Timestamp>,
    ) -> Result<String, Error> {
        let wish = tokens::NewToken {
            tenant: self.tenant_name.clone(),
            name: name.to_owned(),
            scopes: Scopes::default().with(Scope::Scim),
            expires,
            fields: None,
        };
        tokens::create(&self.store, wish, self.token_limits, self.clock.as_ref()).await
    }

    /// Revokes a token by its name; one that is gone already is no fault.
    pub async fn revoke_token(&self, name: &str) -> Result<(), Error> {
        let tenant = self.tenant_name.clone();
        let now_us = self.now_us();
        let token = tokens::TokenRef::Name(name.to_owned());
        match tokens::revoke(&self.store, tenant, token, now_us).await {
            Ok(()) | Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The newest token of this name.
    pub async fn token(&self, name: &str) -> Result<Option<TokenState>, Error> {
        let now_us = self.now_us();
        let all = tokens::list(&self.store, self.tenant_name.clone()).await?;
        Ok(all
            .into_iter()
            .filter(|row| row.name == name)
            .max_by_key(|row| (row.revoked.is_none(), row.created))
            .map(|row| TokenState {
                is_live: row.revoked.is_none()
                    && row.expires.is_none_or(|expires| expires > now_us),
                id: row.id,
                created_us: row.created,
                expires_us: row.expires,
                last_used_us: row.last_used,
            }))
    }

    /// Returns the requests with this token.
    pub async fn attempts(&self, token: &TokenState) -> Result<Vec<AttemptSummary>, Error> {
        auth_attempts::of_token(&self.store, Some(self.token_key(token.id.clone()))).await
    }

    /// Returns the rejected requests with revoked or expired tokens of this name.
    pub async fn rejected_attempts(&self, name: &str) -> Result<Vec<AttemptSummary>, Error> {
        let all = tokens::list(&self.store, self.tenant_name.clone()).await?;
        let mut notes = Vec::new();
        for row in all.into_iter().filter(|row| row.name == name) {
            let of_one = auth_attempts::of_token(&self.store, Some(self.token_key(row.id))).await?;
            notes.extend(of_one.into_iter().filter(|note| !note.kind.is_accepted()));
        }
        Ok(notes)
    }

    /// Returns the requests without a valid credential, of all tenants.
    pub async fn unauthenticated_attempts(&self) -> Result<Vec<AttemptSummary>, Error> {
        auth_attempts::of_token(&self.store, None).await
    }

    fn token_key(&self, id: String) -> TokenKey {
        TokenKey {
            tenant: self.tenant,
            id,
        }
    }

    /// The users with this Okta id.
    pub async fn people_with(&self, okta_id: &str) -> Result<Vec<Person>, Error> {
        let tenant = self.tenant;
        let okta_id = okta_id.to_owned();
        self.store
            .read(move |conn| Ok::<_, Error>(rows::people_by_external_id(conn, tenant, &okta_id)?))
            .await
    }

    /// Every user of the tenant.
    pub async fn people(&self) -> Result<Vec<Person>, Error> {
        let tenant = self.tenant;
        let mut all: Vec<Person> = Vec::new();
        loop {
            let after = all.last().map(|one| one.id.clone()).unwrap_or_default();
            let page = self
                .store
                .read(move |conn| Ok::<_, Error>(rows::people(conn, tenant, &after, PAGE)?))
                .await?;
            let is_last = page.len() < page_size();
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Every group of the tenant.
    pub async fn groups(&self) -> Result<Vec<OktaGroup>, Error> {
        let tenant = self.tenant;
        let mut all: Vec<OktaGroup> = Vec::new();
        loop {
            let after = all.last().map(|one| one.id.clone()).unwrap_or_default();
            let page = self
                .store
                .read(move |conn| Ok::<_, Error>(rows::groups(conn, tenant, &after, PAGE)?))
                .await?;
            let is_last = page.len() < page_size();
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// The ids of a group's members.
    pub async fn member_ids(&self, group: &str) -> Result<Vec<String>, Error> {
        let tenant = self.tenant;
        let Some(group) = ResourceId::parse(group) else {
            return Ok(Vec::new());
        };
        let mut all: Vec<String> = Vec::new();
        loop {
            let group = group.clone();
            let after = all.last().cloned().unwrap_or_default();
            let page = self
                .store
                .read(move |conn| {
                    Ok::<_, Error>(rows::member_ids(conn, tenant, &group, &after, PAGE)?)
                })
                .await?;
            let is_last = page.len() < page_size();
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    fn now_us(&self) -> i64 {
        self.clock.now().as_microsecond()
    }
}

fn page_size() -> usize {
    usize::try_from(PAGE).unwrap_or(usize::MAX)
}
