//! Bodies as Okta sends them (member names, order and structure), with our own values.

use serde_json::{Value, json};

pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Okta's POST of a user; given and family name are derived from the user name.
pub fn user(user_name: &str) -> Value {
    let given = user_name.split(['@', '.']).next().unwrap_or(user_name);
    json!({
        "schemas": [USER],
        "userName": user_name,
        "name": { "givenName": given, "familyName": "Byron" },
        "emails": [{ "primary": true, "value": user_name, "type": "work" }],
        "displayName": format!("{given} Byron"),
        "locale": "en-US",
        "externalId": format!("00u-{user_name}"),
        "groups": [],
        "password": "q7#Lm2xz",
        "active": true
    })
}

pub fn group(display_name: &str, members: &[&str]) -> Value {
    json!({ "schemas": [GROUP], "displayName": display_name, "members": self::members(members) })
}

/// Members as Okta lists them: without `type` and `$ref`.
pub fn members(ids: &[&str]) -> Value {
    let member = |id: &&str| json!({ "value": id, "display": format!("{id}@example.com") });
    ids.iter().map(member).collect()
}

/// The envelope of a PATCH.
pub fn patch(operations: Value) -> Value {
    json!({ "schemas": [PATCH_OP], "Operations": operations })
}

/// A user with a value in almost every attribute.
pub fn full_user(user_name: &str) -> Value {
    json!({
        "schemas": [USER, ENTERPRISE, "urn:example:params:scim:schemas:extension:acme:2.0:User"],
        "externalId": "00u1a2b3c4D5e6F7g8h9",
        "userName": user_name,
        "name": {
            "formatted": "Ms. Ada B King, III", "familyName": "King", "givenName": "Ada",
            "middleName": "B", "honorificPrefix": "Ms.", "honorificSuffix": "III"
        },
        "displayName": "Ada King",
        "nickName": "Addie",
        "profileUrl": "https://login.example.com/ada",
        "title": "Countess",
        "userType": "Employee",
        "preferredLanguage": "en-US, fr;q=0.5",
        "locale": "en-US",
        "timezone": "Europe/London",
        "active": true,
        "emails": [
            { "value": "ada@example.com", "type": "work", "primary": true },
            { "value": "ada@home.example", "display": "home", "type": "home" }
        ],
        "phoneNumbers": [
            { "value": "tel:+44-20-1234", "type": "work", "primary": true },
            { "value": "tel:+44-20-5678", "type": "work" }
        ],
        "ims": [{ "value": "ada", "type": "xmpp" }],
        "photos": [{ "value": "https://photos.example.com/ada.jpg", "type": "photo" }],
        "addresses": [{
            "formatted": "1 Engine Row\nLondon", "streetAddress": "1 Engine Row", "locality": "London",
            "region": "LDN", "postalCode": "W1", "country": "GB", "type": "work", "primary": true
        }],
        "entitlements": [{ "value": "analyst" }],
        "roles": [{ "value": "admin", "type": "base", "primary": true }],
        "x509Certificates": [{ "value": "AQID" }],
        ENTERPRISE: {
            "employeeNumber": "701984", "costCenter": "4130", "organization": "Engines",
            "division": "Analytical", "department": "Looms",
            "manager": { "value": "26118915", "$ref": "https://example.com/v2/Users/26118915" }
        },
        "urn:example:params:scim:schemas:extension:acme:2.0:User": {
            "costBand": "B2", "skills": ["rust", "sql"]
        }
    })
}
