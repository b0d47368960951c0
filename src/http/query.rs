//! The query string, decoded as a form: `%20` and `+` are both a blank.

use actix_web::HttpRequest;

use crate::scim::project::Selection;
use crate::scim::{ErrorKind, ScimError};
use crate::service::list::ListQuery;

/// The parameters of a request.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Bytes that are no UTF-8 after decoding become U+FFFD and match nothing.
    pub fn of(request: &HttpRequest) -> Self {
        Self(
            form_urlencoded::parse(request.query_string().as_bytes())
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// The first value under a name; an empty one counts as none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|v| !v.is_empty())
    }

    /// Whether the name stands in the query, even without a value.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// `attributes` and `excludedAttributes` (RFC 7644 section 3.9).
    ///
    /// # Errors
    /// `invalidValue` where both are given.
    pub fn selection(&self) -> Result<Selection, ScimError> {
        Selection::parse(self.get("attributes"), self.get("excludedAttributes"))
    }

    /// The query of a list.
    ///
    /// # Errors
    /// `invalidFilter` for an empty filter, `invalidValue` for numbers that are none.
    pub fn list(&self) -> Result<ListQuery, ScimError> {
        if self.has("filter") && self.get("filter").is_none_or(|text| text.trim().is_empty()) {
            return Err(ScimError::invalid_filter("The filter is empty."));
        }
        Ok(ListQuery {
            filter: self.get("filter").map(str::to_owned),
            start_index: self.number("startIndex")?,
            count: self.number("count")?,
            selection: self.selection()?,
        })
    }

    fn number(&self, name: &str) -> Result<Option<i64>, ScimError> {
        self.get(name)
            .map(|text| {
                text.trim().parse().map_err(|_| {
                    ScimError::new(
                        ErrorKind::InvalidValue,
                        format!("`{name}` must be a whole number."),
                    )
                })
            })
            .transpose()
    }
}
