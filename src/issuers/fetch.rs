//! Fetching the keys of an issuer, with limits on time and size.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::auth::jwt::KeySet;
use crate::issuers::origin::Origin;

/// The limits of one fetch.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The timeout of each of the up to three requests of a fetch.
    pub time: Duration,
    /// The maximum size of each response.
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

/// An error while fetching keys.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("the request to {url} failed")]
    Request {
        url: String,
        #[source]
        cause: reqwest::Error,
    },
    #[error("{url} answered {status}")]
    Status { url: String, status: u16 },
    #[error("{url} answered more than {limit_bytes} bytes")]
    TooLarge { url: String, limit_bytes: usize },
    #[error("{url} answered with unexpected content")]
    Content {
        url: String,
        #[source]
        cause: serde_json::Error,
    },
    #[error("the metadata at {url} are those of another issuer")]
    OtherIssuer { url: String },
    #[error("{url} is neither https nor on this machine")]
    Insecure { url: String },
}

/// The parts of an issuer's metadata that are used (RFC 8414 section 2).
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// Fetches the keys of an issuer.
pub async fn fetch_keys(
    issuer: &str,
    origin: &Origin,
    bounds: Bounds,
) -> Result<KeySet, FetchError> {
    let url = match origin {
        Origin::Fixed(keys) => return Ok(keys.clone()),
        Origin::Address(url) => url.clone(),
        Origin::Discovery => discover(issuer, bounds).await?,
    };
    let bytes = get(&url, bounds).await?;
    KeySet::parse(&bytes).map_err(|cause| FetchError::Content { url, cause })
}

/// Returns the address of the key set: from `OpenID` Connect Discovery, or, if the issuer has no
/// such document, from RFC 8414 metadata.
async fn discover(issuer: &str, bounds: Bounds) -> Result<String, FetchError> {
    let url = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let (url, found) = match get_json::<Metadata>(&url, bounds).await {
        Err(FetchError::Status { status: 404, .. }) => {
            let url = oauth_metadata_url(issuer);
            let found = get_json::<Metadata>(&url, bounds).await?;
            (url, found)
        }
        other => (url, other?),
    };
    // RFC 8414 section 3.3: the names must be identical, or one issuer could impersonate another.
    if found.issuer == issuer {
        Ok(found.jwks_uri)
    } else {
        Err(FetchError::OtherIssuer { url })
    }
}

/// Returns the address of the RFC 8414 metadata: section 3.1 puts the well-known part between host
/// and path.
fn oauth_metadata_url(issuer: &str) -> String {
    let (scheme, rest) = issuer.split_once("://").unwrap_or(("https", issuer));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_end_matches('/');
    let slash = if path.is_empty() { "" } else { "/" };
    format!("{scheme}://{host}/.well-known/oauth-authorization-server{slash}{path}")
}

async fn get_json<T: DeserializeOwned>(url: &str, bounds: Bounds) -> Result<T, FetchError> {
    let bytes = get(url, bounds).await?;
    serde_json::from_slice(&bytes).map_err(|cause| FetchError::Content {
        url: url.to_owned(),
        cause,
    })
}

/// Gets a document. It follows no redirect: keys come only from the address that the operator or
/// the issuer named.
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
        // Fetches are rare, so an idle connection would be closed before the next one.
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

/// Returns whether this is an `http` address of this machine, which needs no TLS.
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
    fn rfc_8414_metadata_url() {
        let check = |issuer: &str, expected: &str| assert_eq!(oauth_metadata_url(issuer), expected);
        let known = "https://id.example.com/.well-known/oauth-authorization-server";
        check("https://id.example.com", known);
        check("https://id.example.com/", known);
        check(
            "https://id.example.com/oauth2/default",
            &format!("{known}/oauth2/default"),
        );
    }

    #[test]
    fn loopback_addresses() {
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
