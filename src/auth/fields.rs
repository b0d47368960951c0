//! What a caller may read, where it may not read everything.

use std::fmt;
use std::sync::Arc;

/// Attribute names and paths (`userName`, `emails.value`), at least one. What they name, the schemas say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fields(Arc<[String]>);

/// A list that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`fields` are 1 to 100 attribute names or paths, such as userName or emails.value")]
pub struct BadFields;

impl Fields {
    const MOST: usize = 100;
    const LONGEST: usize = 256;

    /// # Errors
    /// [`BadFields`].
    pub fn parse(names: Vec<String>) -> Result<Self, BadFields> {
        let is_name = |name: &String| {
            !name.is_empty()
                && name.len() <= Self::LONGEST
                && name.bytes().all(|b| b.is_ascii_graphic() && b != b',')
        };
        if (1..=Self::MOST).contains(&names.len()) && names.iter().all(is_name) {
            Ok(Self(names.into()))
        } else {
            Err(BadFields)
        }
    }

    /// Reads what [`fmt::Display`] wrote. A damaged text opens nothing.
    pub fn of_stored(text: &str) -> Self {
        Self(text.split_ascii_whitespace().map(str::to_owned).collect())
    }

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
        let check = |names: &[&str], good: bool| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let parsed = Fields::parse(names);
            assert_eq!(parsed.is_ok(), good, "{parsed:?}");
            if let Ok(fields) = parsed {
                assert_eq!(Fields::of_stored(&fields.to_string()), fields);
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
