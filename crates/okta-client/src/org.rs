//! Which org it is, and the ids that enter a path.

use std::fmt;

use reqwest::Url;

use crate::Mode;

/// An Okta org by its origin: `https://acme.okta.com`, without a slash at the end (a slash would break a proof's `htu`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Org {
    origin: String,
    host: String,
}

/// The text names no org.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address of an Okta org: {problem}")]
pub struct InvalidOrg {
    text: String,
    problem: &'static str,
}

impl Org {
    /// Reads `https://acme.okta.com`. The Admin Console's host, `acme-admin.okta.com`, is corrected: it has no API.
    ///
    /// # Errors
    /// Whatever is not a bare https origin.
    pub fn parse(text: &str, mode: Mode) -> Result<Self, InvalidOrg> {
        let fault = |problem| InvalidOrg {
            text: text.to_owned(),
            problem,
        };
        let url = Url::parse(text.trim())
            .map_err(|_| fault("write it as in the browser, such as https://acme.okta.com"))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let is_loopback = host == "127.0.0.1" || host == "[::1]" || host == "localhost";
        match url.scheme() {
            "https" => {}
            "http" if mode == Mode::Rehearsal && is_loopback => {}
            _ => return Err(fault("it must start with https://")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(fault("it must not hold a user or a password"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(fault(
                "only the part up to the first slash is wanted, such as https://acme.okta.com",
            ));
        }
        if !is_loopback && !host.contains('.') {
            return Err(fault("the host name is not complete"));
        }
        let host = without_admin(&host);
        let port = url
            .port()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        Ok(Self {
            origin: format!("{}://{host}{port}", url.scheme()),
            host,
        })
    }

    pub fn as_str(&self) -> &str {
        &self.origin
    }

    /// The address of a path that starts with a slash.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Whether a URL that Okta gave, such as the next page, belongs to this org, so that it may be given the credential.
    pub fn owns(&self, url: &str) -> bool {
        url.strip_prefix(&self.origin)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// Where the Admin Console lives: `-admin` behind the host's first label.
    pub fn console(&self) -> String {
        match self.host.split_once('.') {
            Some((first, rest)) if self.origin.starts_with("https:") => {
                format!("https://{first}-admin.{rest}")
            }
            _ => self.origin.clone(),
        }
    }
}

impl fmt::Display for Org {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

fn without_admin(host: &str) -> String {
    match host.split_once('.') {
        Some((first, rest)) => {
            let first = first.strip_suffix("-admin").unwrap_or(first);
            format!("{first}.{rest}")
        }
        None => host.to_owned(),
    }
}

/// An id that Okta gave or the admin wrote. Checked before it enters a path, so that none can change the path's meaning.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String")]
pub struct OktaId(String);

/// The text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no id of Okta: letters, digits, `-` and `_` were expected")]
pub struct InvalidId(String);

impl OktaId {
    /// # Errors
    /// Anything but 1 to 100 letters, digits, `-` and `_`.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let fits = (1..=100).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId(text.chars().take(40).collect()))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text that an admin wrote looks like an id of this kind: `00g` a group, `00u` a user, `0oa` an app.
    pub fn is_of_kind(text: &str, prefix: &str) -> bool {
        text.len() == 20 && text.starts_with(prefix) && Self::parse(text).is_ok()
    }
}

impl TryFrom<String> for OktaId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::parse(&text)
    }
}

impl fmt::Display for OktaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, mode: Mode, expected: Result<&str, &str>) {
        let parsed = Org::parse(text, mode);
        match (&parsed, expected) {
            (Ok(org), Ok(origin)) => assert_eq!(org.as_str(), origin, "{text}"),
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{text}: {error}");
            }
            _ => panic!("{text}: {parsed:?}"),
        }
    }

    #[test]
    fn orgs() {
        let real = |text, expected| check(text, Mode::Real, expected);
        real("https://acme.okta.com", Ok("https://acme.okta.com"));
        real(" https://acme.okta.com/ ", Ok("https://acme.okta.com"));
        real("https://ACME.okta.com", Ok("https://acme.okta.com"));
        real("https://acme-admin.okta.com/", Ok("https://acme.okta.com"));
        real(
            "https://login.acme.example:8443",
            Ok("https://login.acme.example:8443"),
        );
        real(
            "https://acme-admin.okta.com/admin/apps",
            Err("up to the first slash"),
        );
        real("https://acme.okta.com?x=1", Err("up to the first slash"));
        real("https://u:p@acme.okta.com", Err("a user or a password"));
        real("http://acme.okta.com", Err("https://"));
        real("http://127.0.0.1:9", Err("https://"));
        real("acme.okta.com", Err("as in the browser"));
        real("https://acme", Err("not complete"));
        check(
            "http://127.0.0.1:9",
            Mode::Rehearsal,
            Ok("http://127.0.0.1:9"),
        );
        check("http://acme.okta.com", Mode::Rehearsal, Err("https://"));
    }

    #[test]
    fn only_the_own_origin_is_given_the_credential() {
        let org = Org::parse("https://acme.okta.com", Mode::Real).unwrap();
        assert!(org.owns("https://acme.okta.com/api/v1/apps?after=x"));
        assert!(!org.owns("https://acme.okta.com.evil.example/api/v1/apps"));
        assert!(!org.owns("https://evil.example/api/v1/apps"));
        assert!(!org.owns("https://acme.okta.com"));
        assert_eq!(org.console(), "https://acme-admin.okta.com");
    }

    #[test]
    fn ids() {
        assert!(OktaId::parse("0oa1gjh63g214q0Hq0g4").is_ok());
        for wrong in ["", "..", "a/b", "0oa?x", "0oa%2f", "a b", "é"] {
            assert!(OktaId::parse(wrong).is_err(), "{wrong}");
        }
        assert!(OktaId::is_of_kind("00g1emaKYZTWRYYRRTSK", "00g"));
        assert!(!OktaId::is_of_kind("00groups", "00g"));
    }
}
