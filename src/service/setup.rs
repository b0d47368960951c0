//! What `rollcall setup` keeps here and reads here: its record, its token, what this service saw of Okta, and who is
//! stored. The state is a text to this layer; no secret enters a record.

use std::sync::Arc;

use jiff::Timestamp;

use crate::auth::{Scope, Scopes};
use crate::clock::Clock;
use crate::service::Error;
use crate::service::access::auth_attempts::{AttemptSummary, NOBODY};
use crate::service::access::{auth_attempts, tokens};
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
        })
    }

    /// The state as it was saved last.
    ///
    /// # Errors
    /// Where the database does not answer; the same holds for everything below.
    pub async fn load(&self) -> Result<Option<String>, Error> {
        let (tenant, org) = (self.tenant, self.org.clone());
        self.store
            .read(move |conn| Ok::<_, Error>(rows::load(conn, tenant, &org)?))
            .await
    }

    /// # Errors
    /// See [`Records::load`].
    pub async fn save(&self, state: String) -> Result<(), Error> {
        let (tenant, org, now_us) = (self.tenant, self.org.clone(), self.now_us());
        self.store
            .admin(move |conn| Ok::<_, Error>(rows::save(conn, tenant, &org, &state, now_us)?))
            .await
    }

    /// Forgets the state; the writes stay on record.
    ///
    /// # Errors
    /// See [`Records::load`].
    pub async fn forget(&self) -> Result<(), Error> {
        let (tenant, org) = (self.tenant, self.org.clone());
        self.store
            .admin(move |conn| Ok::<_, Error>(rows::forget(conn, tenant, &org)?))
            .await
    }

    /// Notes a write before it is sent, saves the state that tells of it, and answers the id of the note.
    ///
    /// # Errors
    /// See [`Records::load`].
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
        let (tenant, org, now_us) = (self.tenant, self.org.clone(), write.began);
        self.store
            .admin(move |conn| {
                rows::begin(conn, tenant, &org, &write)?;
                Ok::<_, Error>(rows::save(conn, tenant, &org, &state, now_us)?)
            })
            .await?;
        Ok(id)
    }

    /// Notes what became of a write, and saves the state that follows from it, both or neither.
    ///
    /// # Errors
    /// See [`Records::load`].
    pub async fn end(&self, id: String, ended: Ended, state: String) -> Result<(), Error> {
        let (tenant, org, now_us) = (self.tenant, self.org.clone(), self.now_us());
        self.store
            .admin(move |conn| {
                rows::end(conn, tenant, &id, now_us, &ended)?;
                Ok::<_, Error>(rows::save(conn, tenant, &org, &state, now_us)?)
            })
            .await
    }

    /// The last writes, newest first.
    ///
    /// # Errors
    /// See [`Records::load`].
    pub async fn writes(&self, limit: i64) -> Result<Vec<SetupWrite>, Error> {
        let (tenant, org) = (self.tenant, self.org.clone());
        self.store
            .read(move |conn| Ok::<_, Error>(rows::writes(conn, tenant, &org, limit)?))
            .await
    }

    /// Makes a token that may provision and nothing else, and answers its secret, which is nowhere else.
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
        tokens::create(&self.store, wish, self.clock.as_ref()).await
    }

    /// Revokes a token by its name; one that is gone already is no fault.
    ///
    /// # Errors
    /// See [`Records::load`].
    pub async fn revoke_token(&self, name: &str) -> Result<(), Error> {
        let (tenant, now_us) = (self.tenant_name.clone(), self.now_us());
        match tokens::revoke(&self.store, tenant, name.to_owned(), now_us).await {
            Ok(()) | Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The newest token of this name.
    ///
    /// # Errors
    /// See [`Records::load`].
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

    /// How the requests with this token came.
    ///
    /// # Errors
    /// See [`Records::load`].
    pub async fn arrivals(&self, token: &TokenState) -> Result<Vec<AttemptSummary>, Error> {
        auth_attempts::of_token(&self.store, self.tenant, token.id.clone()).await
    }

    /// How requests came with tokens of this name that no longer count.
    ///
    /// # Errors
    /// See [`Records::load`].
    pub async fn ended_arrivals(&self, name: &str) -> Result<Vec<AttemptSummary>, Error> {
        let all = tokens::list(&self.store, self.tenant_name.clone()).await?;
        let mut notes = Vec::new();
        for row in all.into_iter().filter(|row| row.name == name) {
            let of_one = auth_attempts::of_token(&self.store, self.tenant, row.id).await?;
            notes.extend(of_one.into_iter().filter(|note| !note.kind.is_accepted()));
        }
        Ok(notes)
    }

    /// How the requests with nobody's credential came, of all tenants.
    ///
    /// # Errors
    /// See [`Records::load`].
    pub async fn strangers(&self) -> Result<Vec<AttemptSummary>, Error> {
        auth_attempts::of_token(&self.store, NOBODY, String::new()).await
    }

    /// The users with this Okta id.
    ///
    /// # Errors
    /// See [`Records::load`].
    pub async fn people_with(&self, okta_id: &str) -> Result<Vec<Person>, Error> {
        let (tenant, okta_id) = (self.tenant, okta_id.to_owned());
        self.store
            .read(move |conn| Ok::<_, Error>(rows::people_by_external_id(conn, tenant, &okta_id)?))
            .await
    }

    /// Every user of the tenant.
    ///
    /// # Errors
    /// See [`Records::load`].
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
    ///
    /// # Errors
    /// See [`Records::load`].
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
    ///
    /// # Errors
    /// See [`Records::load`].
    pub async fn member_ids(&self, group: &str) -> Result<Vec<String>, Error> {
        let tenant = self.tenant;
        let Some(group) = ResourceId::parse(group) else {
            return Ok(Vec::new());
        };
        let mut all: Vec<String> = Vec::new();
        loop {
            let (group, after) = (group.clone(), all.last().cloned().unwrap_or_default());
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
