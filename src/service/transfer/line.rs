//! The lines of an export.

use std::io::BufRead;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::service::GroupNames;
use crate::service::transfer::error::TransferError;

/// The version of the format. A reader rejects others.
pub const FORM: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    RollcallExport(Header),
    Resource(ResourceLine),
    Member(MemberLine),
    Change(RecordedLine),
    Count(CountLine),
    Token(TokenLine),
    End(EndLine),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    pub form: u32,
    pub tenant: String,
    pub change_seq: i64,
    pub compatibility: String,
    pub patch_answer: String,
    /// Exports of older versions lack it.
    #[serde(default = "any")]
    pub group_names: String,
    /// As is this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_limit_bytes: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute_values_limit: Option<i64>,
}

fn any() -> String {
    GroupNames::Any.to_string()
}

/// Times are microseconds since the epoch.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceLine {
    pub id: String,
    pub resource_type: String,
    pub version: i64,
    pub created: i64,
    pub modified: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    pub document: Box<RawValue>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberLine {
    pub group: String,
    pub member: String,
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedLine {
    pub seq: i64,
    pub resource: String,
    pub resource_type: String,
    pub kind: String,
    pub at: i64,
    pub actor: String,
    pub payload: Box<RawValue>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CountLine {
    pub resource_type: String,
    pub live: i64,
    pub deleted: i64,
}

/// A token, without its secret, which is not stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenLine {
    pub id: String,
    pub name: String,
    pub hash: String,
    pub scopes: String,
    /// The attributes that it may read, if not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<String>,
    pub created: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<i64>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndLine {
    #[serde(flatten)]
    pub tally: LineCounts,
    /// The digest of all lines before this one, each with its newline.
    pub sha256: String,
}

/// The number of lines of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LineCounts {
    pub resources: u64,
    pub members: u64,
    pub changes: u64,
    pub tokens: u64,
}

impl LineCounts {
    pub fn add(&mut self, line: &Line) {
        let number = match line {
            Line::Resource(_) => &mut self.resources,
            Line::Member(_) => &mut self.members,
            Line::Change(_) => &mut self.changes,
            Line::Token(_) => &mut self.tokens,
            Line::RollcallExport(_) | Line::Count(_) | Line::End(_) => return,
        };
        *number += 1;
    }
}

/// The counts and the digest of the lines so far.
#[derive(Default)]
pub struct Sum {
    pub tally: LineCounts,
    digest: Sha256,
}

impl Sum {
    /// Begins with the first line, which is part of the digest and of no count.
    pub fn begin(first_line: &[u8]) -> Self {
        let mut sum = Self::default();
        sum.digest.update(first_line);
        sum
    }

    /// `text` is the line with its newline.
    pub fn add(&mut self, line: &Line, text: &[u8]) {
        self.tally.add(line);
        self.digest.update(text);
    }

    pub fn end(self) -> EndLine {
        let digest = self.digest.finalize();
        EndLine {
            tally: self.tally,
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// Reads lines and counts them.
pub struct Lines<R> {
    input: R,
    text: Vec<u8>,
    pub number: u64,
}

/// The longest line. A group has a line for each member, and a document is no larger than a
/// request.
const LONGEST_BYTES: u64 = 1 << 30;

impl<R: BufRead> Lines<R> {
    pub fn new(input: R) -> Self {
        Self {
            input,
            text: Vec::new(),
            number: 0,
        }
    }

    /// Returns the next line and its text. The end of the input before the last line is an error.
    pub fn next(&mut self) -> Result<(Line, &[u8]), TransferError> {
        use std::io::Read as _;
        self.number += 1;
        self.text.clear();
        let read = (&mut self.input)
            .take(LONGEST_BYTES)
            .read_until(b'\n', &mut self.text)
            .map_err(TransferError::Input)?;
        if read == 0 || self.text.last() != Some(&b'\n') {
            return Err(self.fault("the file ends here, before its last line"));
        }
        match serde_json::from_slice(&self.text) {
            Ok(line) => Ok((line, &self.text)),
            Err(error) => Err(self.fault(&format!("no line of an export: {error}"))),
        }
    }

    pub fn fault(&self, problem: &str) -> TransferError {
        TransferError::Line {
            line: self.number,
            problem: problem.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_line_without_later_settings() {
        let text = r#"{"form":1,"tenant":"acme","changeSeq":0,"compatibility":"strict","patchAnswer":"resource"}"#;
        let header: Header = serde_json::from_str(text).unwrap();
        assert_eq!(header.group_names, "any");
        assert_eq!(header.document_limit_bytes, None);
    }
}
