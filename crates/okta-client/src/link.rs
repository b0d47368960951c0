//! The next page in a `Link` header (RFC 8288).

/// Returns the address of the next page.
///
/// Okta sends one header per relation or several relations in one header, and an address may
/// contain commas.
pub(crate) fn next<'h>(headers: impl IntoIterator<Item = &'h str>) -> Option<String> {
    headers.into_iter().find_map(next_in)
}

fn next_in(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, from)) = rest.split_once('<') {
        let (target, after) = from.split_once('>')?;
        let parameters = after.split_once('<').map_or(after, |(own, _)| own);
        if parameters.split([';', ',']).any(is_next) {
            return Some(target.to_owned());
        }
        rest = after;
    }
    None
}

fn is_next(parameter: &str) -> bool {
    parameter
        .trim()
        .split_once('=')
        .is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("rel")
                && value
                    .trim()
                    .trim_matches('"')
                    .split_ascii_whitespace()
                    .any(|word| word.eq_ignore_ascii_case("next"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[&str], expected: Option<&str>) {
        assert_eq!(
            next(headers.iter().copied()).as_deref(),
            expected,
            "{headers:?}"
        );
    }

    #[test]
    fn links() {
        let own = r#"<https://acme.okta.com/api/v1/apps?limit=2>; rel="self""#;
        let next = r#"<https://acme.okta.com/api/v1/apps?after=x&limit=2>; rel="next""#;
        let address = Some("https://acme.okta.com/api/v1/apps?after=x&limit=2");
        check(&[], None);
        check(&[own], None);
        check(&[own, next], address);
        check(&[&format!("{own}, {next}")], address);
        check(&[&format!("{next}, {own}")], address);
        check(&["<https://x/?a=1,2>; rel=next"], Some("https://x/?a=1,2"));
        check(
            &[r#"<https://x/>; title="rel"; rel="prev next""#],
            Some("https://x/"),
        );
        check(&[r#"<https://x/next>; rel="prev""#], None);
        check(&[r#"<https://x/>; title="next""#], None);
        check(&["<https://x/>; REL=NEXT"], Some("https://x/"));
        check(&["<https://x/>; rel = next"], Some("https://x/"));
        check(&["<https://x/>"], None);
        check(&["<https://x/", "rel=next", ""], None);
    }
}
