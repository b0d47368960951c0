//! The address of an org, and the ids that are part of a path.

use std::fmt;

use reqwest::Url;

use crate::mode::Mode;

/// An Okta org, by its origin.
// The origin ends without a slash: a second one would break the `htu` of a DPoP proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Org {
    origin: String,
    host: String,
    mode: Mode,
}

/// An address that is not one of an Okta org.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not the address of an Okta org: {problem}")]
pub struct InvalidOrg {
    text: String,
    problem: &'static str,
}

impl Org {
    /// Parses an origin such as `https://acme.okta.com`.
    ///
    /// The Admin Console's host has no API, so `acme-admin.okta.com` becomes `acme.okta.com`.
    ///
    /// # Errors
    /// Returns an error for anything but an `https` origin. With [`Mode::Simulated`], `http` is
    /// accepted for a loopback address.
    ///
    /// ```
    /// use okta_client::{Mode, Org};
    ///
    /// let org = Org::parse("https://acme-admin.okta.com/", Mode::Live)?;
    /// assert_eq!(org.as_str(), "https://acme.okta.com");
    /// assert!(Org::parse("http://acme.okta.com", Mode::Live).is_err());
    /// # Ok::<(), okta_client::InvalidOrg>(())
    /// ```
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
            "http" if mode == Mode::Simulated && is_loopback => {}
            _ => return Err(fault("it must start with https://")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(fault("it must not contain a user or a password"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(fault(
                "pass only the part up to the first slash, such as https://acme.okta.com",
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
            mode,
        })
    }

    /// Returns the origin, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.origin
    }

    /// Returns whether this is a real org or a simulator.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns the URL of a path, which starts with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Returns whether a URL, such as that of a next page, has the origin of this org. The client
    /// sends the credential to no other.
    pub fn owns(&self, url: &str) -> bool {
        url.strip_prefix(&self.origin)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// Returns the origin of the Admin Console: `https://acme-admin.okta.com`.
    pub fn console_url(&self) -> String {
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

/// An id of an object in Okta. It contains no character that could change the meaning of a path.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String")]
pub struct OktaId(String);

/// A text that is not an [`OktaId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an Okta id: expected letters, digits, `-` and `_`")]
pub struct InvalidId(String);

impl OktaId {
    /// Parses an id.
    ///
    /// # Errors
    /// Returns an error for anything but 1 to 100 ASCII letters, digits, `-` and `_`.
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

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether a text looks like an id that begins with `prefix`: `00g` for a group, `00u`
    /// for a user, `0oa` for an app.
    pub fn has_prefix(text: &str, prefix: &str) -> bool {
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
        let real = |text, expected| check(text, Mode::Live, expected);
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
            Mode::Simulated,
            Ok("http://127.0.0.1:9"),
        );
        check("http://acme.okta.com", Mode::Simulated, Err("https://"));
        check("http://[::1]:9", Mode::Simulated, Ok("http://[::1]:9"));
        check(
            "http://localhost:9",
            Mode::Simulated,
            Ok("http://localhost:9"),
        );
        check(
            "https://acme.okta.com",
            Mode::Simulated,
            Ok("https://acme.okta.com"),
        );
        check("ftp://127.0.0.1", Mode::Simulated, Err("https://"));
        real("ftp://acme.okta.com", Err("https://"));
        real("https://localhost:8443", Ok("https://localhost:8443"));
        real("https://u@acme.okta.com", Err("a user or a password"));
        real("https://:p@acme.okta.com", Err("a user or a password"));
        real("https://acme.okta.com/admin", Err("up to the first slash"));
        real("https://acme.okta.com#x", Err("up to the first slash"));
        real("", Err("`` is not the address of an Okta org"));
    }

    #[test]
    fn only_urls_of_the_org_are_its_own() {
        let org = Org::parse("https://acme.okta.com", Mode::Live).unwrap();
        assert!(org.owns("https://acme.okta.com/api/v1/apps?after=x"));
        assert!(!org.owns("https://acme.okta.com.evil.example/api/v1/apps"));
        assert!(!org.owns("https://evil.example/api/v1/apps"));
        assert!(!org.owns("https://acme.okta.com"));
    }

    #[test]
    fn an_org_has_urls() {
        let org = Org::parse("https://acme.okta.com", Mode::Live).unwrap();
        assert_eq!(org.to_string(), "https://acme.okta.com");
        assert_eq!(org.console_url(), "https://acme-admin.okta.com");
        assert_eq!(org.url("/api/v1/apps"), "https://acme.okta.com/api/v1/apps");
        assert_eq!(org.mode(), Mode::Live);
        let simulated = Org::parse("http://127.0.0.1:9", Mode::Simulated).unwrap();
        assert_eq!(simulated.console_url(), "http://127.0.0.1:9");
        assert_eq!(simulated.mode(), Mode::Simulated);
    }

    #[test]
    fn ids() {
        let longest = "a".repeat(100);
        for id in ["0oa1gjh63g214q0Hq0g4", "a-b", "a_b", "7", &longest] {
            assert_eq!(OktaId::parse(id).unwrap().as_str(), id);
            assert_eq!(OktaId::parse(id).unwrap().to_string(), id);
        }
        let too_long = "a".repeat(101);
        for wrong in ["", "..", "a/b", "0oa?x", "0oa%2f", "a b", "é", &too_long] {
            assert!(OktaId::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            OktaId::parse(&"é".repeat(50)).unwrap_err().to_string(),
            format!(
                "`{}` is not an Okta id: expected letters, digits, `-` and `_`",
                "é".repeat(40)
            )
        );
        assert!(OktaId::has_prefix("00g1emaKYZTWRYYRRTSK", "00g"));
        for wrong in [
            "00groups",
            "00u1emaKYZTWRYYRRTSK",
            "00g1emaKYZTWRYYRRT/K",
            "00g1emaKYZTWRYYRRTSKK",
        ] {
            assert!(!OktaId::has_prefix(wrong, "00g"), "{wrong}");
        }
    }

    #[test]
    fn an_id_is_checked_when_it_is_deserialized() {
        let id: OktaId = serde_json::from_str("\"0oa1\"").unwrap();
        assert_eq!(id.as_str(), "0oa1");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"0oa1\"");
        assert!(serde_json::from_str::<OktaId>("\"../users\"").is_err());
    }
}
