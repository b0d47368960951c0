//! Lists the apps of an org. The API token is read from standard input:
//!
//! ```console
//! $ cargo run --example list_apps -- https://acme.okta.com < token
//! ```

use std::error::Error;

use okta_client::{Client, ClientOptions, Credential, Failure, Mode, Org, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args()
        .nth(1)
        .ok_or("pass the address of the org")?;
    let token = std::io::read_to_string(std::io::stdin())?;
    let org = Org::parse(&address, Mode::Live)?;
    let credential = Credential::api_token(&token)?;
    let client = Client::new(org, credential, ClientOptions::default())?;
    for line in list_apps(&client).await? {
        println!("{line}");
    }
    Ok(())
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
