//! Lists the apps of an org. The API token is read from standard input:
//!
//! ```console
//! $ cargo run -p okta-client --example list_apps -- https://acme.okta.com < token
//! ```
//!
//! Without an address, it lists the apps of a fake org, which this program serves itself:
//!
//! ```console
//! $ cargo run -p okta-client --example list_apps
//! 0oa1 ACTIVE   Payroll
//! 0oa2 INACTIVE Wiki
//! 0oa3 ACTIVE   Rollcall
//! ```

mod fake_org;

use std::error::Error;

use okta_client::{Client, ClientOptions, Credential, Failure, Mode, Org, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = match std::env::args().nth(1) {
        Some(address) => {
            let token = std::io::read_to_string(std::io::stdin())?;
            connect(&address, Mode::Live, &token)?
        }
        None => connect(&fake_org::start()?, Mode::Simulated, fake_org::TOKEN)?,
    };
    for line in list_apps(&client).await? {
        println!("{line}");
    }
    Ok(())
}

fn connect(address: &str, mode: Mode, token: &str) -> Result<Client, Box<dyn Error>> {
    let org = Org::parse(address, mode)?;
    let credential = Credential::api_token(token)?;
    Ok(Client::new(org, credential, ClientOptions::default())?)
}

/// Returns a line for each app: its id, its status and its label.
pub async fn list_apps(client: &Client) -> Result<Vec<String>, Failure> {
    let apps = client.list("/api/v1/apps", &[("limit", "200")]).await?;
    let line = |app| {
        format!(
            "{} {:<8} {}",
            json::object_id(app).map_or_else(|| "-".to_owned(), |id| id.to_string()),
            json::str_at(app, "/status").unwrap_or("unknown"),
            json::str_at(app, "/label").unwrap_or("unnamed"),
        )
    };
    Ok(apps.iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use okta_client::FailureKind;

    use super::*;

    #[tokio::test]
    async fn every_page_is_listed() {
        let client = connect(
            &fake_org::start().unwrap(),
            Mode::Simulated,
            fake_org::TOKEN,
        );
        assert_eq!(
            list_apps(&client.unwrap()).await.unwrap(),
            [
                "0oa1 ACTIVE   Payroll",
                "0oa2 INACTIVE Wiki",
                "0oa3 ACTIVE   Rollcall"
            ]
        );
    }

    #[tokio::test]
    async fn a_wrong_token_is_explained() {
        let client = connect(&fake_org::start().unwrap(), Mode::Simulated, "00wrong");
        let failure = list_apps(&client.unwrap()).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::AccessDenied);
        assert!(
            failure
                .to_string()
                .ends_with("Okta says: Invalid token provided [E0000011, error oae1]"),
            "{failure}"
        );
    }
}
