//! The attributes that a caller may read, if it may not read all.

use std::fmt;
use std::sync::Arc;

/// A list of at least one attribute name or path (`userName`, `emails.value`). They are not checked
/// against the schemas.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fields(Arc<[String]>);

/// An invalid list of fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`fields` are 1 to 100 attribute names or paths, such as userName or emails.value")]
pub struct BadFields;

impl Fields {
    const MAX_NAMES: usize = 100;
    const MAX_NAME_BYTES: usize = 256;

    /// Checks a list of names.
    ///
    /// # Errors
    /// [`BadFields`] for an empty or too long list, and for a name with spaces, commas or other
    /// characters that no path has.
    pub fn parse(names: Vec<String>) -> Result<Self, BadFields> {
        let is_name = |name: &String| {
            !name.is_empty()
                && name.len() <= Self::MAX_NAME_BYTES
                && name.bytes().all(|b| b.is_ascii_graphic() && b != b',')
        };
        if (1..=Self::MAX_NAMES).contains(&names.len()) && names.iter().all(is_name) {
            Ok(Self(names.into()))
        } else {
            Err(BadFields)
        }
    }

    /// Parses the output of [`fmt::Display`]. A damaged text gives access to no attribute.
    pub fn from_stored(text: &str) -> Self {
        Self(text.split_ascii_whitespace().map(str::to_owned).collect())
    }

    /// Returns the names.
    pub fn names(&self) -> Arc<[String]> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let check = |names: &[&str], is_valid: bool| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let parsed = Fields::parse(names);
            assert_eq!(parsed.is_ok(), is_valid, "{parsed:?}");
            if let Ok(fields) = parsed {
                assert_eq!(Fields::from_stored(&fields.to_string()), fields);
            }
        };
        check(
            &["userName", "emails.value", "urn:a:b:User:department"],
            true,
        );
        check(&[], false);
        check(&[""], false);
        check(&["a b"], false);
        check(&["a,b"], false);
        check(&["ä"], false);
        check(&["a"; 101], false);
        check(&[&"a".repeat(257)], false);
    }
}
