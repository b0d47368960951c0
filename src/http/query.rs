//! The query string, decoded as a form: `%20` and `+` both stand for a space.

use std::borrow::Cow;

use actix_web::HttpRequest;
use scim_core::project::Selection;
use scim_core::sort::Order;
use scim_core::{ErrorKind, ScimError};

use crate::http::endpoint::{Accepts, Endpoint};
use crate::http::scim::parameters::KNOWN;
use crate::service::query::list::{ListQuery, Paging, Sort};

/// Parameters that hold lists: a second one continues the first.
const LISTS: [&str; 2] = ["attributes", "excludedAttributes"];

/// The prefix of Entra ID's feature flags. They are part of the tenant URL, so every request has
/// them.
const FLAG: &str = "aadOptscim";

/// The number of characters of an unknown name that the error repeats.
const SHOWN_CHARACTERS: usize = 64;

/// The parameters of a request. Their names ignore letter case.
pub struct Query<'r>(Vec<(Cow<'r, str>, Cow<'r, str>)>);

impl<'r> Query<'r> {
    /// Bytes that are no UTF-8 after decoding become U+FFFD and match nothing.
    pub fn of(request: &'r HttpRequest) -> Self {
        Self::parse(request.query_string())
    }

    /// Checks the parameters of a request against those that its endpoint accepts.
    ///
    /// # Errors
    /// `invalidValue` for a parameter that the endpoint does not accept, or that is sent twice with
    /// different values.
    pub fn check_accepted(&self, endpoint: &Endpoint) -> Result<(), ScimError> {
        match endpoint.accepts {
            Accepts::Declared => {
                let known: Vec<&str> = endpoint.query_parameters().collect();
                self.check(&known)
            }
            Accepts::ScimQuery => self.check(&KNOWN),
            Accepts::Any => Ok(()),
        }
    }

    fn parse(text: &'r str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).collect())
    }

    /// Rejects parameters that would be ignored otherwise, because the response would then hold
    /// more than the client asked for: a value under an unknown name, and a second value under a
    /// known one. An unknown name without a value is harmless.
    ///
    /// # Errors
    /// `invalidValue`, with the known names.
    fn check(&self, known: &[&str]) -> Result<(), ScimError> {
        let mut first_values: Vec<Option<&str>> = vec![None; known.len()];
        for (name, value) in &self.0 {
            if value.is_empty() || is_flag(name) {
                continue;
            }
            let mut names = known.iter().zip(&mut first_values);
            let found = names.find(|(one, _)| one.eq_ignore_ascii_case(name));
            let Some((name, first)) = found else {
                return Err(unknown_parameter(name, known));
            };
            let is_other = first.is_some_and(|first| first != value);
            if is_other && !LISTS.contains(name) {
                return Err(ScimError::invalid_value(format!(
                    "`{name}` is sent twice with different values. Send it once."
                )));
            }
            *first = Some(value);
        }
        Ok(())
    }

    /// The first value under a name; an empty one counts as none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// Whether the query has the name, even without a value.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key.eq_ignore_ascii_case(name))
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, value)| !value.is_empty() && key.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }

    /// All values under a name, with commas between them.
    fn joined(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut values = self.values(name);
        let first = values.next()?;
        let mut joined = Cow::Borrowed(first);
        for value in values {
            let joined = joined.to_mut();
            joined.push(',');
            joined.push_str(value);
        }
        Some(joined)
    }

    /// `attributes` and `excludedAttributes` (RFC 7644 section 3.9) of a write. A write is carried
    /// out whatever else the query holds, because a rejected one leaves an administrator with a
    /// task to repeat.
    ///
    /// # Errors
    /// `invalidValue` where both are given.
    pub fn selection(&self) -> Result<Selection, ScimError> {
        let attributes = self.joined("attributes");
        let excluded = self.joined("excludedAttributes");
        Selection::parse(attributes.as_deref(), excluded.as_deref())
    }

    /// The query of one resource. The parameters of lists are ignored.
    ///
    /// # Errors
    /// `invalidValue` for an unknown parameter or an unknown attribute.
    pub fn resource(&self) -> Result<Selection, ScimError> {
        self.check(&KNOWN)?;
        self.selection()
    }

    /// The query of a list.
    ///
    /// # Errors
    /// `invalidFilter` for an empty filter, `invalidValue` for malformed numbers and
    /// unknown parameters.
    pub fn list(&self) -> Result<ListQuery, ScimError> {
        self.check(&KNOWN)?;
        if self.has("filter") && self.get("filter").is_none_or(|text| text.trim().is_empty()) {
            return Err(ScimError::invalid_filter("The filter is empty."));
        }
        let start_index = self.number("startIndex", ErrorKind::InvalidValue)?;
        // An empty cursor asks for the first page, though other empty parameters count as absent
        // (RFC 9865 section 2).
        let cursor = self
            .has("cursor")
            .then(|| self.get("cursor").unwrap_or_default());
        let wrong_count = match cursor {
            Some(_) => ErrorKind::InvalidCount,
            None => ErrorKind::InvalidValue,
        };
        Ok(ListQuery {
            filter: self.get("filter").map(str::to_owned),
            sort: sort(self.get("sortBy"), self.get("sortOrder"))?,
            paging: paging(start_index, cursor)?,
            count: self.number("count", wrong_count)?,
            selection: self.selection()?,
        })
    }

    fn number(&self, name: &str, wrong: ErrorKind) -> Result<Option<i64>, ScimError> {
        self.get(name)
            .map(|text| {
                let number = text.trim().parse();
                number
                    .map_err(|_| ScimError::new(wrong, format!("`{name}` must be a whole number.")))
            })
            .transpose()
    }
}

fn is_flag(name: &str) -> bool {
    let start = name.get(..FLAG.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(FLAG))
}

/// The error for a value under an unknown name.
pub fn unknown_parameter(name: &str, known: &[&str]) -> ScimError {
    let shown: String = name.chars().take(SHOWN_CHARACTERS).collect();
    ScimError::invalid_value(match known {
        [] => format!("There is no parameter `{shown}` here; this request has none."),
        known => format!(
            "There is no parameter `{shown}` here. Known are: {}.",
            known.join(", ")
        ),
    })
}

/// Parses `sortBy` and `sortOrder`, which has no effect alone.
///
/// # Errors
/// `invalidValue` for an unknown order.
pub fn sort(by: Option<&str>, order: Option<&str>) -> Result<Option<Sort>, ScimError> {
    let order = order.map(Order::parse).transpose()?;
    let Some(by) = by.filter(|by| !by.trim().is_empty()) else {
        return Ok(None);
    };
    Ok(Some(Sort {
        by: by.to_owned(),
        order: order.unwrap_or_default(),
    }))
}

/// Pages by index, or by cursor where there is one.
///
/// # Errors
/// `invalidCursor` where both are given.
pub fn paging(start_index: Option<i64>, cursor: Option<&str>) -> Result<Paging, ScimError> {
    match (start_index, cursor) {
        (start_index, None) => Ok(Paging::Index(start_index)),
        (None, Some(cursor)) => Ok(Paging::Cursor(cursor.to_owned())),
        (Some(_), Some(_)) => Err(ScimError::new(
            ErrorKind::InvalidCursor,
            "Send either startIndex or cursor, not both.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, known: &[&str], expected: Result<(), &str>) {
        match (Query::parse(query).check(known), expected) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(part)) => {
                assert_eq!(error.kind, ErrorKind::InvalidValue, "{query}");
                assert!(error.detail.contains(part), "{query}: {}", error.detail);
                assert!(error.detail.len() < 300, "{query}: {}", error.detail);
            }
            (found, _) => panic!("{query}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn parameters_that_would_widen_the_result_are_refused() {
        let refused = |query: &str, part| check(query, &KNOWN, Err(part));
        let taken = |query: &str| check(query, &KNOWN, Ok(()));
        taken("");
        taken("filter=x&count=1");
        taken("FILTER=x&Count=1&sortby=a");
        taken("foo&bar=&=");
        taken("aadOptscim062020&aadoptscim062020=x&aadOptscim063020=1");
        taken("count=1&COUNT=1&count=");
        taken("attributes=a&Attributes=b&attributes=c");
        refused("foo=1", "`foo`");
        refused("filter=x&%24filter=x", "`$filter`");
        refused("filters=x", "Known are: filter, sortBy");
        refused("filter%20=x", "`filter `");
        refused("=x", "``");
        refused("aadOpt=1", "`aadOpt`");
        refused("aadOptsciṁ=1", "There is no parameter");
        refused(
            &format!("{}=1", "ä".repeat(50_000)),
            "There is no parameter",
        );
        refused("filter=x&filter=y", "`filter`");
        refused("filter=x&Filter=x&FILTER=y", "`filter`");
        refused("startIndex=1&startIndex=2", "`startIndex`");
        check("Tenant=x&tenant=x", &["tenant"], Ok(()));
        check("tenent=x", &["tenant"], Err("Known are: tenant."));
        check("filter=x", &[], Err("has none"));
        check("filter", &[], Ok(()));
    }

    #[test]
    fn values_are_found_whatever_the_letter_case() {
        let query = Query::parse("Attributes=a,b&x=1&ATTRIBUTES=&attributes=c&count=&Count=7");
        assert_eq!(query.joined("attributes").as_deref(), Some("a,b,c"));
        assert_eq!(query.get("count"), Some("7"));
        assert_eq!(query.get("filter"), None);
        assert!(query.has("ATTRIBUTES") && !query.has("attribute"));
    }
}
