//! The `Authorization` header, in each form that Okta's authentication modes send.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The secret of a request. It has no `Debug`, so that it cannot be logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential<'h> {
    secret: Cow<'h, str>,
    form: Form,
}

/// The form in which the secret was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Bearer,
    /// Without a scheme: Okta's header authentication sends the value as it was entered.
    Bare,
    /// `Bearer Bearer TOKEN`: the scheme was entered although Okta adds it.
    Doubled,
    Basic,
}

/// The reason why a header has no credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the Authorization header is empty")]
    Empty,
    #[error("the Authorization header is not valid UTF-8")]
    NotText,
    #[error("the Basic credential is not base64 of user:password")]
    Basic,
}

impl<'h> Credential<'h> {
    /// Parses `Bearer TOKEN`, a bare `TOKEN`, or `Basic base64(user:TOKEN)`. The scheme is
    /// case-insensitive (RFC 9110 section 11.1).
    ///
    /// # Errors
    /// Each [`Malformed`] is answered with 401.
    pub fn parse(header: &'h [u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(header)
            .map_err(|_| Malformed::NotText)?
            .trim();
        let (scheme, rest) = match text.split_once(' ') {
            Some((scheme, rest)) => (scheme, rest.trim()),
            None => ("", text),
        };
        let (secret, form) = if scheme.eq_ignore_ascii_case("basic") {
            let password = basic_password(rest).ok_or(Malformed::Basic)?;
            (Cow::Owned(password), Form::Basic)
        } else if scheme.eq_ignore_ascii_case("bearer") {
            match rest.split_once(' ') {
                Some((second, token)) if second.eq_ignore_ascii_case("bearer") => {
                    (token.trim().into(), Form::Doubled)
                }
                _ => (rest.into(), Form::Bearer),
            }
        } else if scheme.is_empty() {
            (rest.into(), Form::Bare)
        } else {
            // An unknown scheme is answered like an unknown token.
            (text.into(), Form::Bare)
        };
        if secret.is_empty() || secret.eq_ignore_ascii_case("bearer") {
            return Err(Malformed::Empty);
        }
        Ok(Self { secret, form })
    }

    /// Returns the form in which the secret was sent.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Returns the secret, to be hashed or verified and never stored.
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

fn basic_password(encoded: &str) -> Option<String> {
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (_user, password) = decoded.split_once(':')?;
    Some(password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, expected: Result<&str, Malformed>) {
        let parsed = Credential::parse(header.as_bytes());
        assert_eq!(
            parsed.as_ref().map(Credential::secret).map_err(|e| *e),
            expected,
            "{header}"
        );
    }

    #[test]
    fn headers() {
        check("Bearer abc", Ok("abc"));
        check("bearer  abc ", Ok("abc"));
        check("BEARER abc", Ok("abc"));
        check("abc", Ok("abc"));
        check("Basic dXNlcjphYmM=", Ok("abc"));
        check("basic dXNlcjphOmI=", Ok("a:b"));
        check("Basic ###", Err(Malformed::Basic));
        check("Basic dXNlcg==", Err(Malformed::Basic));
        check("Digest abc", Ok("Digest abc"));
        check("", Err(Malformed::Empty));
        check("Bearer ", Err(Malformed::Empty));
        check("Bearer", Err(Malformed::Empty));
        check("Bearer Bearer abc", Ok("abc"));
        check("Bearer bearer ", Err(Malformed::Empty));
    }

    #[test]
    fn forms() {
        let form = |header: &str| {
            Credential::parse(header.as_bytes())
                .map(|credential| credential.form())
                .ok()
        };
        assert_eq!(form("Bearer abc"), Some(Form::Bearer));
        assert_eq!(form("abc"), Some(Form::Bare));
        assert_eq!(form("Bearer Bearer abc"), Some(Form::Doubled));
        assert_eq!(form("Basic dXNlcjphYmM="), Some(Form::Basic));
    }

    #[test]
    fn invalid_utf_8() {
        assert!(matches!(
            Credential::parse(b"Bearer \xff"),
            Err(Malformed::NotText)
        ));
    }
}
