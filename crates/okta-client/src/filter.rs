/// Quotes a string for Okta's `filter` and `search` parameters.
///
/// ```
/// let search = format!("profile.name eq {}", okta_client::quote("R \"D\""));
/// assert_eq!(search, r#"profile.name eq "R \"D\"""#);
/// ```
pub fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_one_literal() {
        for (text, quoted) in [
            ("", r#""""#),
            ("R & D", r#""R & D""#),
            (r#"a "b""#, r#""a \"b\"""#),
            (r"a\b\", r#""a\\b\\""#),
            (r#"\""#, r#""\\\"""#),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }
}
