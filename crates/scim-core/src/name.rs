//! Names and the folding of case: what counts as the same text.
//!
//! Knows nothing of schemas; [`crate::registry`] resolves names to attributes.

use std::borrow::Cow;

use precis_profiles::precis_core::profile::{Profile as _, Rules as _};
use precis_profiles::precis_core::{DerivedPropertyValue, FreeformClass, StringClass as _};
use precis_profiles::{OpaqueString, UsernameCaseMapped};
use unicode_normalization::UnicodeNormalization;

/// The core schema of users.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The core schema of groups.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The enterprise extension of users.
pub const ENTERPRISE_USER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// The core schema of roles, as Okta's governance knows it.
pub const OKTA_ROLE: &str = "urn:okta:scim:schemas:core:1.0:Role";
/// The core schema of entitlements, as Okta's governance knows it.
pub const OKTA_ENTITLEMENT: &str = "urn:okta:scim:schemas:core:1.0:Entitlement";

/// A text prepared for comparison; two texts are equal ignoring case when their folded forms are
/// equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folded(String);

impl Folded {
    /// Returns the folded text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the folded text without a copy.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl AsRef<str> for Folded {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Prepares the text of a `caseExact: false` attribute: NFC and lower case. Idempotent.
pub fn fold(text: &str) -> Folded {
    if text.is_ascii() {
        return Folded(text.to_ascii_lowercase());
    }
    // Letter by letter, not `str::to_lowercase`: that depends on a letter's neighbours (final
    // sigma), so the fold of a prefix would not be a prefix of the fold and `sw` would miss.
    let lower = text
        .nfc()
        .flat_map(char::to_lowercase)
        .map(|letter| if letter == 'ς' { 'σ' } else { letter });
    Folded(lower.nfc().collect())
}

/// Prepares a `userName` (RFC 7643 section 4.1.1, RFC 8265 section 3.3): full-width and half-width
/// letters become ordinary ones, then NFC and lower case. Idempotent.
///
/// The PRECIS profile `UsernameCaseMapped` gives the same result for every name that it accepts,
/// except for the Greek final sigma, which counts as a sigma here. Names that the profile rejects
/// (with a space for instance) exist in directories, so they are prepared in the same way instead
/// of being rejected.
pub fn fold_user_name(text: &str) -> Folded {
    if text.is_ascii() {
        return Folded(text.to_ascii_lowercase());
    }
    match UsernameCaseMapped::new().width_mapping_rule(text) {
        Ok(mapped) => fold(&mapped),
        Err(_) => fold(text),
    }
}

/// Returns whether the profile `UsernameCaseMapped` of RFC 8265 section 3.3 allows the name: one
/// part, or several with spaces between.
pub fn is_precis_user_name(text: &str) -> bool {
    let parts = text.split(' ').filter(|part| !part.is_empty());
    parts
        .clone()
        .all(|part| UsernameCaseMapped::new().enforce(part).is_ok())
}

/// Returns the first character of a user name that no preparation allows (RFC 8264 section 9):
/// controls, invisible characters that would make two names look like one, and unassigned code
/// points.
pub fn forbidden_in_user_name(text: &str) -> Option<char> {
    if text.is_ascii() {
        return text.chars().find(char::is_ascii_control);
    }
    let class = FreeformClass::default();
    let is_forbidden = |c: &char| class.get_value_from_char(*c) == DerivedPropertyValue::Disallowed;
    text.chars().find(is_forbidden)
}

/// Prepares a password for hashing by the profile `OpaqueString` of RFC 8265 section 4.2: NFC, and
/// every space U+0020. Returns `None` if the profile rejects it.
pub fn opaque(text: &str) -> Option<String> {
    let prepared = OpaqueString::new().enforce(text).ok()?;
    Some(prepared.into_owned())
}

/// Returns the URI of a `$ref` in the form in which it is compared: without a version of the
/// protocol, since `https://h/v2/Users/1` is `https://h/Users/1` (RFC 7643 section 2.4).
/// Idempotent.
pub fn without_version(uri: &str) -> Cow<'_, str> {
    let is_version = |segment: &str| {
        let digits = segment.strip_prefix(['v', 'V']).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    if !uri.split('/').any(is_version) {
        return Cow::Borrowed(uri);
    }
    let segments: Vec<&str> = uri
        .split('/')
        .filter(|segment| !is_version(segment))
        .collect();
    Cow::Owned(segments.join("/"))
}

/// Returns whether an attribute may be called so: RFC 7643 section 2.1, and `$ref`, which its
/// grammar forgot.
pub fn is_attribute_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let starts_well = bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic());
    let goes_on_well =
        bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'$' | b'-' | b'_'));
    (starts_well && goes_on_well) || name == "$ref"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folding() {
        let check =
            |text: &str, expected: &str| assert_eq!(fold(text).as_str(), expected, "{text}");
        check("", "");
        check("BJensen@Example.COM", "bjensen@example.com");
        check("ÅSA", "åsa");
        check("A\u{30a}SA", "åsa");
        check("ΣΑΣ", "σασ");
        check("σας", "σασ");
        check("\u{212a}", "k");
        check("İ", "i\u{307}");
    }

    // R7644-5-01, R7644-5-03
    #[test]
    fn folding_user_names() {
        let check = |text: &str, expected: &str| {
            assert_eq!(fold_user_name(text).as_str(), expected, "{text}");
        };
        check("BJensen", "bjensen");
        check("ｂＪensen", "bjensen");
        check("Jane Doe", "jane doe");
        check("Jane\u{3000}Doé", "jane doé");
        check("ｶﾞ", "ガ");
        check("Ju\u{308}rgen", "jürgen");
    }

    #[test]
    fn folding_is_idempotent_for_every_letter() {
        for letter in '\0'..='\u{1ffff}' {
            let text = letter.to_string();
            for folding in [fold, fold_user_name] {
                let once = folding(&text);
                assert_eq!(folding(once.as_str()), once, "{letter:?}");
            }
        }
    }

    // R7643-2.4-07
    #[test]
    fn versions_in_references() {
        let check = |uri: &str, expected: &str| assert_eq!(without_version(uri), expected, "{uri}");
        check("https://h/v2/Users/1", "https://h/Users/1");
        check("https://h/scim/V2/Users/v2a", "https://h/scim/Users/v2a");
        check("https://h/Users/1", "https://h/Users/1");
        check("v1/Users/1", "Users/1");
        check("https://v/vv/Users", "https://v/vv/Users");
        check("", "");
    }

    // R7644-5-01
    #[test]
    fn precis_user_names() {
        for good in [
            "ada",
            "ada@example.com",
            "ａｄａ",
            "Ada Byron",
            "jürgen+x",
            "Αδα",
        ] {
            assert!(is_precis_user_name(good), "{good}");
        }
        for bad in ["a\u{200b}da", "♥", "a\u{0}", "a\u{a0}b", "\u{202e}ada", "½"] {
            assert!(!is_precis_user_name(bad), "{bad}");
        }
    }

    #[test]
    fn forbidden_characters() {
        let check = |text: &str, expected: Option<char>| {
            assert_eq!(forbidden_in_user_name(text), expected, "{text:?}");
        };
        check("Ada Byron ♥ ½ ｂ", None);
        check("a\tb", Some('\t'));
        check("a\u{7f}", Some('\u{7f}'));
        check("ä\u{85}", Some('\u{85}'));
        check("a\u{200b}da", Some('\u{200b}'));
        check("\u{202e}ada", Some('\u{202e}'));
        check("a\u{e000}", Some('\u{e000}'));
        check("a\u{ffff}", Some('\u{ffff}'));
    }

    // R7643-4.1.1-10, R7644-5-02
    #[test]
    fn passwords() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(opaque(text).as_deref(), expected, "{text:?}");
        };
        check("Correct horse", Some("Correct horse"));
        check("a\u{3000}b\u{a0}c", Some("a b c"));
        check("A\u{30a}", Some("Å"));
        check("ｂ♥", Some("ｂ♥"));
        check("", None);
        check("a\tb", None);
    }

    // R7643-2.1-03
    #[test]
    fn attribute_names() {
        for good in ["userName", "a", "x509Certificates", "a-b_c$d", "$ref"] {
            assert!(is_attribute_name(good), "{good}");
        }
        for bad in ["", "1x", "a b", "$value", "a.b", "a:b", "é"] {
            assert!(!is_attribute_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_folded_text_is_a_text() {
        let folded = fold("Ada");
        assert_eq!(folded.as_ref(), "ada");
        assert_eq!(folded.as_str(), "ada");
        assert_eq!(folded.into_string(), "ada");
    }

    proptest! {
        #[test]
        fn folding_is_idempotent(text in "\\PC{0,12}") {
            for folding in [fold, fold_user_name] {
                let once = folding(&text);
                prop_assert_eq!(folding(once.as_str()), once);
            }
        }

        #[test]
        fn folding_of_user_names_agrees_with_precis(text in "[\\p{L}\\p{M}0-9@.+]{1,8}") {
            if let Ok(expected) = UsernameCaseMapped::new().enforce(text.as_str()) {
                prop_assert_eq!(fold_user_name(&text), fold(&expected));
            }
        }
    }
}
