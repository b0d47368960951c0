//! Attribute paths: `[URN ":"] name ["." sub]`.

use crate::AttrPath;
use crate::lexer::{Parser, Result, printable, quote};

/// The context of an attribute path; a PATCH path may name a whole extension.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathContext {
    Filter,
    Path,
}

impl Parser<'_> {
    /// Reads the attribute path that starts here; the caller has seen that there is a token.
    pub(crate) fn attr_path(&mut self, context: PathContext) -> Result<AttrPath> {
        let start = self.position;
        let token = self.token();
        // URNs hold colons and dots (`…:core:2.0:User:name.familyName`), names hold neither.
        let (urn, local) = match token.rsplit_once(':') {
            Some((urn, local)) => (Some(urn), local),
            None => (None, token),
        };
        if let Some(urn) = urn {
            self.check_urn(start, urn)?;
        }
        let local_start = start + urn.map_or(0, |urn| urn.len() + 1);
        let (name, sub) = match local.split_once('.') {
            Some((name, sub)) => (name, Some(sub)),
            None => (local, None),
        };
        let checked = self
            .check_name(local_start, name, "an attribute name")
            .and_then(|()| match sub {
                Some(sub) => self.check_sub(local_start + name.len() + 1, sub),
                None => Ok(()),
            });
        let urn = urn.map(str::to_owned);
        let path = match checked {
            Ok(()) => AttrPath {
                urn,
                name: name.to_owned(),
                sub: sub.map(str::to_owned),
            },
            // A schema's URN may end in a segment that is no attribute name, such as `2.0`.
            Err(_)
                if self.is_tolerant()
                    && context == PathContext::Path
                    && urn.is_some()
                    && is_urn_segment(local) =>
            {
                AttrPath {
                    urn,
                    name: local.to_owned(),
                    sub: None,
                }
            }
            Err(error) => return Err(error),
        };
        self.position += token.len();
        Ok(path)
    }

    /// Reads the name after the `.` that follows a `]`.
    pub(crate) fn sub_attribute(&mut self) -> Result<String> {
        let sub = self.token();
        self.check_sub(self.position, sub)?;
        self.position += sub.len();
        Ok(sub.to_owned())
    }

    fn check_sub(&self, start: usize, sub: &str) -> Result<()> {
        self.check_name(start, sub, "a sub-attribute name after `.`")
    }

    /// ATTRNAME = ALPHA *(nameChar), or `$ref` (RFC 7643 2.1, 2.4).
    fn check_name(&self, start: usize, name: &str, what: &str) -> Result<()> {
        if name.eq_ignore_ascii_case("$ref") {
            return Ok(());
        }
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let mut message = format!("expected {what}");
            if !name.is_empty() {
                message.push_str(&format!(", found `{}`", quote(name)));
            }
            return Err(self.defect(start, message));
        }
        match name.char_indices().find(|(_, c)| !is_name_char(*c)) {
            None => Ok(()),
            Some((at, '.')) => Err(self.defect(
                start + at,
                "expected one `.` at most: a sub-attribute has no sub-attributes",
            )),
            Some((at, c)) => Err(self.defect(
                start + at,
                format!(
                    "`{}` cannot stand in the attribute name `{}`",
                    printable(c),
                    quote(name)
                ),
            )),
        }
    }

    fn check_urn(&self, start: usize, urn: &str) -> Result<()> {
        if urn.is_empty() {
            return Err(self.defect(start, "expected a schema URN before `:`"));
        }
        if let Some((at, c)) = urn.char_indices().find(|(_, c)| !is_uri_char(*c)) {
            return Err(self.defect(
                start + at,
                format!("`{}` cannot stand in a schema URN", printable(c)),
            ));
        }
        let has_scheme = urn.split_once(':').is_some_and(|(scheme, rest)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && !rest.is_empty()
        });
        if !self.is_tolerant() && !has_scheme {
            return Err(self.defect(
                start,
                format!("`{}` before the last `:` is not a schema URN", quote(urn)),
            ));
        }
        Ok(())
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '$' | '-' | '_')
}

/// RFC 3986, without what delimits a token.
fn is_uri_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?#@!$&*+,;=%".contains(c)
}

/// The last segment of a schema URN, as `2.0`: names and digits with single dots between.
fn is_urn_segment(segment: &str) -> bool {
    segment.split('.').all(|label| {
        !label.is_empty()
            && label
                .chars()
                .all(|c| is_name_char(c) || matches!(c, '~' | '%' | '+'))
    })
}
