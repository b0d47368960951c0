//! Asking an issuer for its keys, bounded in time and size.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::auth::jwt::KeySet;
use crate::issuers::Origin;

/// What one fetch may cost.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// For each of the at most three requests of a fetch.
    pub time: Duration,
    /// Of each answer.
    pub size_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(5),
            size_bytes: 256 * 1024,
        }
    }
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{url} gave no answer")]
    Request {
        url: String,
        #[source]
        cause: reqwest::Error,
    },
    #[error("{url} answered {status}")]
    Status { url: String, status: u16 },
    #[error("{url} answered more than {limit_bytes} bytes")]
    TooLarge { url: String, limit_bytes: usize },
    #[error("{url} answered what is not expected there")]
    Content {
        url: String,
        #[source]
        cause: serde_json::Error,
    },
    #[error("the metadata at {url} are of another issuer")]
    OtherIssuer { url: String },
    #[error("{url} is neither https nor on this machine")]
    Insecure { url: String },
}

/// The parts of an issuer's metadata that count here (RFC 8414 section 2).
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// Fetches the keys.
///
/// # Errors
/// See [`FetchError`].
pub async fn keys(issuer: &str, origin: &Origin, bounds: Bounds) -> Result<KeySet, FetchError> {
    let url = match origin {
        Origin::Fixed(keys) => return Ok(keys.clone()),
        Origin::Address(url) => url.clone(),
        Origin::Discovery => discover(issuer, bounds).await?,
    };
    let bytes = get(&url, bounds).await?;
    KeySet::parse(&bytes).map_err(|cause| FetchError::Content { url, cause })
}

/// The address of the key set: by `OpenID` Connect Discovery, and where there is no such document, by RFC 8414.
async fn discover(issuer: &str, bounds: Bounds) -> Result<String, FetchError> {
    let url = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let (url, found) = match typed::<Metadata>(&url, bounds).await {
        Err(FetchError::Status { status: 404, .. }) => {
            let url = oauth_metadata(issuer);
            let found = typed::<Metadata>(&url, bounds).await?;
            (url, found)
        }
        other => (url, other?),
    };
    // RFC 8414 section 3.3: the names must be the same, or one issuer could speak for another.
    if found.issuer == issuer {
        Ok(found.jwks_uri)
    } else {
        Err(FetchError::OtherIssuer { url })
    }
}

/// RFC 8414 section 3.1: the well-known part stands between host and path.
fn oauth_metadata(issuer: &str) -> String {
    let (scheme, rest) = issuer.split_once("://").unwrap_or(("https", issuer));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_end_matches('/');
    let slash = if path.is_empty() { "" } else { "/" };
    format!("{scheme}://{host}/.well-known/oauth-authorization-server{slash}{path}")
}

async fn typed<T: DeserializeOwned>(url: &str, bounds: Bounds) -> Result<T, FetchError> {
    let bytes = get(url, bounds).await?;
    serde_json::from_slice(&bytes).map_err(|cause| FetchError::Content {
        url: url.to_owned(),
        cause,
    })
}

/// No redirect is followed: keys come from where the operator, or the issuer, said that they are.
async fn get(url: &str, bounds: Bounds) -> Result<Vec<u8>, FetchError> {
    let url = url.to_owned();
    if !url.starts_with("https://") && !is_loopback(&url) {
        return Err(FetchError::Insecure { url });
    }
    let failed = |cause: reqwest::Error| FetchError::Request {
        url: url.clone(),
        cause: cause.without_url(),
    };
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("rollcall/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        // From the first byte sent to the last one received.
        .timeout(bounds.time)
        // A fetch is rare; a connection kept open would only grow stale.
        .pool_max_idle_per_host(0);
    if is_loopback(&url) {
        builder = builder.no_proxy();
    }
    let client = builder.build().map_err(failed)?;
    let request = client.get(&url).header("accept", "application/json");
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(FetchError::Status { url, status });
    }
    let limit_bytes = bounds.size_bytes;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if bytes.len().saturating_add(chunk.len()) > limit_bytes {
            return Err(FetchError::TooLarge { url, limit_bytes });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Whether an address without TLS never leaves this machine.
pub fn is_loopback(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_rfc_8414_puts_the_metadata() {
        let check = |issuer: &str, expected: &str| assert_eq!(oauth_metadata(issuer), expected);
        let known = "https://id.example.com/.well-known/oauth-authorization-server";
        check("https://id.example.com", known);
        check("https://id.example.com/", known);
        check(
            "https://id.example.com/oauth2/default",
            &format!("{known}/oauth2/default"),
        );
    }

    #[test]
    fn what_stays_on_this_machine() {
        let check = |url: &str, expected: bool| assert_eq!(is_loopback(url), expected, "{url}");
        check("http://127.0.0.1:8080/keys", true);
        check("http://[::1]:8080/keys", true);
        check("http://localhost/keys", true);
        check("http://localhost.example.com/keys", false);
        check("http://127.0.0.1.example.com/", false);
        check("http://127.0.0.1@evil.example.com/", false);
        check("http://127.0.0.1:1@evil.example.com/", false);
        check("http://10.0.0.1/", false);
        check("https://127.0.0.1/", false);
    }
}
