//! The file `setup.toml`: parses the desired state, and rejects what cannot work.

use std::path::{Path, PathBuf};

use okta_client::Org;
use serde::Deserialize;

use crate::setup::desired::{
    App, Assign, Attribute, DesiredState, EventHook, Provisioning, PushGroup, Rollcall,
};
use crate::setup::{Failure, FailureKind, Mode};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetupFile {
    okta: Okta,
    rollcall: Rollcall,
    app: App,
    #[serde(default)]
    provisioning: Provisioning,
    #[serde(default)]
    assign: Assign,
    #[serde(default)]
    push_groups: Vec<PushGroup>,
    #[serde(default)]
    attributes: Vec<Attribute>,
    event_hook: Option<EventHook>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Okta {
    org: String,
    /// The client id of a service app, whose credential is a key instead of a token.
    client_id: Option<String>,
    key_id: Option<String>,
    scopes: Option<Vec<String>>,
}

/// Reads the file.
///
/// # Errors
/// Returns an error if the file does not exist or is invalid. The message names the line or the
/// setting.
pub fn read(path: &Path, mode: Mode) -> Result<DesiredState, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        fault(format!(
            "{}: {error}. Create the file (deploy/setup.example.toml shows how), or pass another one with --file.",
            path.display()
        ))
    })?;
    let desired =
        parse(&text, mode).map_err(|problem| fault(format!("{}: {problem}", path.display())))?;
    Ok(DesiredState {
        folder: path.parent().map(Path::to_owned).unwrap_or_default(),
        ..desired
    })
}

fn fault(message: String) -> Failure {
    Failure::new(FailureKind::Invalid, message)
}

fn parse(text: &str, mode: Mode) -> Result<DesiredState, String> {
    let file: SetupFile = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| {
            text.bytes()
                .take(span.start)
                .filter(|b| *b == b'\n')
                .count()
                + 1
        });
        format!("line {line}: {}", error.message())
    })?;
    let org = Org::parse(&file.okta.org, mode).map_err(|error| error.to_string())?;
    let base_url = base_url(&file.rollcall.base_url, mode)?;
    check_label(&file.app.label)?;
    file.app.check()?;
    check_pushes(&file)?;
    for attribute in &file.attributes {
        check_attribute(attribute)?;
    }
    if let Some(hook) = &file.event_hook
        && !(hook.url.starts_with("https://") || mode == Mode::Simulated)
    {
        return Err("event_hook.url: Okta only calls https addresses".to_owned());
    }
    Ok(DesiredState {
        org,
        client_id: file.okta.client_id,
        key_id: file.okta.key_id,
        scopes: file.okta.scopes,
        rollcall: Rollcall {
            base_url,
            ..file.rollcall
        },
        app: file.app,
        provisioning: file.provisioning,
        assign: file.assign,
        push_groups: file.push_groups,
        attributes: file.attributes,
        event_hook: file.event_hook,
        folder: PathBuf::new(),
    })
}

/// Checks that pushed groups and attributes fit the rest of the file.
fn check_pushes(file: &SetupFile) -> Result<(), String> {
    for push in &file.push_groups {
        if push.target.is_some() && push.target_id.is_some() {
            return Err(format!(
                "push_groups: `{}` has both `target` and `target_id`; remove one of them",
                push.group
            ));
        }
        if file.assign.groups.contains(&push.group) {
            return Err(format!(
                "push_groups: `{}` is assigned as well. Use one group for assigning and another for pushing: Okta sends no removals for a group that is both",
                push.group
            ));
        }
    }
    if !file.app.provisioning && (!file.push_groups.is_empty() || !file.attributes.is_empty()) {
        return Err(
            "app.provisioning is off, so nothing can be pushed: remove push_groups and attributes"
                .to_owned(),
        );
    }
    Ok(())
}

/// Checks a URL by Okta's rules: https, no underscore in the host, no query.
fn base_url(text: &str, mode: Mode) -> Result<String, String> {
    let fault = |problem: &str| Err(format!("rollcall.base_url: {problem}"));
    let Ok(url) = reqwest::Url::parse(text) else {
        return fault("expected a URL such as https://scim.example.com/scim/v2");
    };
    let host = url.host_str().unwrap_or_default();
    if url.scheme() != "https" && mode == Mode::Live {
        return fault("Okta only accepts https");
    }
    if host.contains('_') {
        return fault("Okta does not accept a host name with an underscore");
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return fault("it must have no query, no fragment and no user");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn check_label(label: &str) -> Result<(), String> {
    let length = label.chars().count();
    if (1..=100).contains(&length) && !label.contains(char::is_control) && label.trim() == label {
        Ok(())
    } else {
        Err("app.label: expected 1 to 100 characters without spaces at the ends".to_owned())
    }
}

fn check_attribute(attribute: &Attribute) -> Result<(), String> {
    let fault = |problem: &str| Err(format!("attributes: `{}`: {problem}", attribute.name));
    let fits = attribute
        .name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if attribute.name.is_empty() || !fits {
        return fault("a name has only letters, digits and `_`");
    }
    if attribute.title.is_none() {
        return match attribute.mapping {
            Some(_) => Ok(()),
            None => fault(
                "set a `title` to add it to the app's profile, or a `mapping` for an existing one",
            ),
        };
    }
    // Okta does not send an attribute that lacks either.
    if attribute.external_name.is_none() || attribute.external_namespace.is_none() {
        return fault("set `external_name` and `external_namespace`, or Okta does not send it");
    }
    match attribute.kind.as_deref() {
        None | Some("string" | "boolean" | "integer" | "number") => Ok(()),
        Some(_) => fault("`type` must be string, boolean, integer or number"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const HEAD: &str = "[okta]\norg = \"https://acme.okta.com\"\n[rollcall]\nbase_url = \"https://scim.acme.example/scim/v2/\"\n";

    /// Parses a desired state for the org `acme`, with `rest` after the first two tables.
    pub fn desired(rest: &str) -> DesiredState {
        parse(&format!("{HEAD}{rest}"), Mode::Live).unwrap()
    }

    fn check(rest: &str, expected: Result<(), &str>) {
        let parsed = parse(&format!("{HEAD}{rest}"), Mode::Live);
        match (&parsed, expected) {
            (Ok(desired), Ok(())) => assert!(desired.rollcall.base_url.ends_with("/v2")),
            (Err(error), Err(part)) => assert!(error.contains(part), "{rest}: {error}"),
            _ => panic!("{rest}: {parsed:?}"),
        }
    }

    #[test]
    fn setup_files() {
        check("[app]\nlabel = \"Rollcall\"", Ok(()));
        check("[app]\nlabel = \"\"", Err("app.label"));
        check("[app]\nlabel = \"a\"\nlable = 1", Err("line 7"));
        check(
            "[app]\nlabel = \"a\"\nkind = \"saml\"",
            Err("app.saml is needed"),
        );
        check(
            "[app]\nlabel = \"a\"\nkind = \"catalog\"",
            Err("app.name is needed"),
        );
        check(
            "[app]\nlabel = \"a\"\nname = \"slack\"",
            Err("only the kind `catalog`"),
        );
        check("[app]\nlabel = \"a\"\nkind = \"telnet\"", Err("telnet"));
        let groups = "[app]\nlabel = \"a\"\n[assign]\ngroups = [\"A\"]\n[[push_groups]]\ngroup = ";
        check(&format!("{groups}\"B\""), Ok(()));
        check(&format!("{groups}\"A\""), Err("one group for assigning"));
        check(
            &format!("{groups}\"B\"\ntarget = \"b\"\ntarget_id = \"c\""),
            Err("remove one of them"),
        );
        let attribute = "[app]\nlabel = \"a\"\n[[attributes]]\nname = ";
        check(&format!("{attribute}\"x\"\nmapping = \"user.x\""), Ok(()));
        check(&format!("{attribute}\"x\""), Err("set a `title`"));
        check(
            &format!("{attribute}\"x\"\ntitle = \"X\""),
            Err("external_name"),
        );
        check(
            &format!("{attribute}\"x.y\"\nmapping = \"user.x\""),
            Err("letters, digits"),
        );
        check(
            "[app]\nlabel = \"a\"\n[event_hook]\nurl = \"http://x\"",
            Err("https"),
        );
    }

    #[test]
    fn a_kind_that_can_never_provision_is_refused_with_one_that_can() {
        let bookmark =
            "[app]\nlabel = \"a\"\nkind = \"bookmark\"\nbookmark = { url = \"https://a\" }\n";
        check(
            bookmark,
            Err("a bookmark app can never provision over SCIM. Use `scim-header`"),
        );
        check(&format!("{bookmark}provisioning = false"), Ok(()));
        check(
            "[app]\nlabel = \"a\"\nkind = \"oidc\"\noidc = { redirect_uris = [\"https://a\"] }",
            Err("can never provision over SCIM"),
        );
        check(
            "[app]\nlabel = \"a\"\nkind = \"catalog\"\nname = \"bookmark\"",
            Err("can never provision over SCIM"),
        );
        check(
            "[app]\nlabel = \"a\"\nkind = \"catalog\"\nname = \"slack\"",
            Err("to its own vendor"),
        );
        check(
            "[app]\nlabel = \"a\"\nkind = \"catalog\"\nname = \"zscalerbyz\"",
            Ok(()),
        );
    }

    #[test]
    fn the_example_parses_as_it_is_and_uncommented() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/setup.example.toml");
        let example = read(&path, Mode::Live).unwrap();
        assert_eq!(example.app.label, "Rollcall");
        let text = std::fs::read_to_string(path).unwrap();
        // These exclude each other, or belong to another kind.
        let others = [
            "# name = \"zscaler",
            "# saml =",
            "# swa =",
            "# oidc =",
            "# bookmark =",
            "# settings =",
            "# sign_on =",
        ];
        let is_setting = |rest: &str| {
            let name = rest.split(" = ").next().unwrap_or_default();
            rest.starts_with('[') || (name != rest && !name.contains(' '))
        };
        let app: String = text
            .lines()
            .filter(|line| !others.iter().any(|other| line.starts_with(other)))
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if is_setting(rest) => rest,
                Some(_) => "",
                None => line,
            })
            .map(|line| format!("{line}\n"))
            .collect();
        let desired = parse(&app, Mode::Live).unwrap();
        assert_eq!(
            (desired.attributes.len(), desired.push_groups.len()),
            (1, 1)
        );
        assert!(desired.client_id.is_some() && desired.event_hook.is_some());
    }

    #[test]
    fn addresses_that_okta_cannot_call_are_refused() {
        let check = |url: &str, expected: Result<&str, &str>| {
            let found = base_url(url, Mode::Live);
            match (&found, expected) {
                (Ok(parsed), Ok(url)) => assert_eq!(parsed, url),
                (Err(error), Err(part)) => assert!(error.contains(part), "{url}: {error}"),
                _ => panic!("{url}: {found:?}"),
            }
        };
        check(
            "https://a.example/scim/v2/",
            Ok("https://a.example/scim/v2"),
        );
        check("http://a.example/scim/v2", Err("only accepts https"));
        check("https://a_b.example/scim/v2", Err("underscore"));
        check("https://a.example/scim?x=1", Err("no query"));
        check("a.example", Err("expected a URL"));
    }
}
