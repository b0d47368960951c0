//! `rollcall tenant create|list|set|storage`.

use std::num::ParseIntError;
use std::str::FromStr;

use scim_core::Compatibility;

use crate::clock::{Clock as _, SystemClock};
use crate::config::DatabaseArgs;
use crate::service::access::storage::{self, StorageReport};
use crate::service::access::tenants::{self, Settings, TenantChanges};
use crate::service::{GroupNames, PatchAnswer};
use crate::store::tables::tenants::Tenant;

#[derive(Debug, clap::Subcommand)]
pub enum TenantCommand {
    /// Create a tenant
    Create {
        /// 1 to 63 of the characters a-z, 0-9, `-` and `_`
        name: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List the tenants with their settings
    List {
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Change settings of a tenant, effective with its next request
    #[command(group = clap::ArgGroup::new("settings").required(true).multiple(true))]
    Set {
        /// Name of the tenant
        name: String,
        /// `tolerant` accepts what Okta, Entra ID and others send, `strict` only what the RFCs
        /// allow
        #[arg(long, group = "settings")]
        compatibility: Option<Compatibility>,
        /// Response to a PATCH that does not ask for one: `resource` (200) or `no-content` (204)
        #[arg(long, group = "settings")]
        patch_answer: Option<PatchAnswer>,
        /// `unique` refuses two groups with the same displayName, ignoring letter case; `any` does
        /// not
        #[arg(long, group = "settings")]
        group_names: Option<GroupNames>,
        /// Most bytes that the tenant may store in resources and their history: a number, 0 for no
        /// limit, or `default` for the setting `tenant_quota_bytes`
        #[arg(long, group = "settings", value_name = "BYTES")]
        quota_bytes: Option<Quota>,
        /// Largest resource of this tenant in bytes; 0 for the setting `document_limit_bytes`
        #[arg(long, group = "settings")]
        document_limit_bytes: Option<u64>,
        /// Most values of one attribute in this tenant; 0 for the setting `attribute_values_limit`
        #[arg(long, group = "settings")]
        attribute_values_limit: Option<u64>,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Show what a tenant stores, and which resources take most
    Storage {
        /// Name of the tenant
        name: String,
        /// Number of resources to list
        #[arg(long, default_value_t = 20)]
        limit: u32,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// A tenant's own quota; `None` is that of the settings.
#[derive(Debug, Clone, Copy)]
pub struct Quota(Option<i64>);

impl FromStr for Quota {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        match text {
            "default" => Ok(Self(None)),
            number => number.parse().map(|bytes| Self(Some(bytes))),
        }
    }
}

/// Runs `rollcall tenant`.
pub async fn run(command: TenantCommand) -> anyhow::Result<()> {
    match command {
        TenantCommand::Create { name, database } => {
            let store = super::store::open(&database)?;
            let now_us = SystemClock::default().now().as_microsecond();
            let created = tenants::create(&store, name, now_us).await;
            store.close();
            println!("{}", created?.name);
        }
        TenantCommand::List { database } => {
            let store = super::store::open(&database)?;
            let rows = tenants::list(&store).await;
            store.close();
            print(&rows?);
        }
        TenantCommand::Set {
            name,
            compatibility,
            patch_answer,
            group_names,
            quota_bytes,
            document_limit_bytes,
            attribute_values_limit,
            database,
        } => {
            let store = super::store::open(&database)?;
            let settings = Settings {
                compatibility,
                patch_answer,
                group_names,
                quota_bytes: quota_bytes.map(|quota| quota.0),
                document_limit_bytes,
                attribute_values_limit,
            };
            let set = tenants::set(&store, name, settings).await;
            store.close();
            print_changed(set?);
        }
        TenantCommand::Storage {
            name,
            limit,
            database,
        } => {
            let store = super::store::open(&database)?;
            let report = storage::report(&store, name, limit).await;
            store.close();
            print_storage(&report?);
        }
    }
    Ok(())
}

fn print_changed(changed: TenantChanges) {
    print(&[changed.tenant]);
    if let Some(shared @ 1..) = changed.shared_group_names {
        println!(
            "{shared} displayName(s) are shared by several groups. Those groups stay as they are; rename them to \
             make their names unique."
        );
    }
}

fn print_storage(report: &StorageReport) {
    let bytes = report.storage.bytes;
    let quota = report
        .limit
        .map_or("none".to_owned(), |limit| limit.to_string());
    println!("resources {:>15}", bytes.documents);
    println!("history   {:>15}", bytes.history);
    println!("quota     {quota:>15}");
    if report.largest.is_empty() {
        return;
    }
    println!(
        "\n{:<10} {:<38} {:>12} {:>12} NAME",
        "TYPE", "ID", "RESOURCE", "HISTORY"
    );
    for row in &report.largest {
        let name = row.label.as_deref().unwrap_or("(deleted)");
        // A name is what a client sent.
        let name: String = name.chars().flat_map(char::escape_debug).collect();
        println!(
            "{:<10} {:<38} {:>12} {:>12} {name}",
            row.resource_type, row.id, row.document_bytes, row.history_bytes
        );
    }
}

fn print(rows: &[Tenant]) {
    println!(
        "{:<32} {:<14} {:<13} {:<12} {:<15} VALUES LIMIT",
        "NAME", "COMPATIBILITY", "PATCH ANSWER", "GROUP NAMES", "DOCUMENT LIMIT"
    );
    let limit = |own: Option<i64>| own.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
    for row in rows {
        println!(
            "{:<32} {:<14} {:<13} {:<12} {:<15} {}",
            row.name,
            row.policy.compatibility.as_str(),
            row.policy.patch_answer.as_str(),
            row.policy.group_names.as_str(),
            limit(row.policy.document_limit_bytes),
            limit(row.policy.attribute_values_limit)
        );
    }
}
