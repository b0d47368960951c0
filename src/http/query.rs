//! The query string, decoded as a form: `%20` and `+` are both a blank.

use std::borrow::Cow;

use actix_web::HttpRequest;

use crate::scim::project::Selection;
use crate::scim::sort::Order;
use crate::scim::{ErrorKind, ScimError};
use crate::service::list::{ListQuery, Paging, Sort};

/// The parameters of a request.
pub struct Query<'r>(Vec<(Cow<'r, str>, Cow<'r, str>)>);

impl<'r> Query<'r> {
    /// Bytes that are no UTF-8 after decoding become U+FFFD and match nothing.
    pub fn of(request: &'r HttpRequest) -> Self {
        Self(form_urlencoded::parse(request.query_string().as_bytes()).collect())
    }

    /// The first value under a name; an empty one counts as none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| &**value)
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
        let start_index = self.number("startIndex", ErrorKind::InvalidValue)?;
        // An empty cursor is one, though other empty parameters are none (RFC 9865 section 2).
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

/// `sortBy` and `sortOrder`, which means nothing without the other.
///
/// # Errors
/// `invalidValue` for an order that there is not.
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

/// By index, or by cursor where there is one.
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
