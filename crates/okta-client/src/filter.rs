/// Quotes a string for Okta's `filter` and `search` parameters.
///
/// ```
/// let search = format!("profile.name eq {}", okta_client::quote("R \"D\""));
/// assert_eq!(search, r#"profile.name eq "R \"D\"""#);
/// ```
pub fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
