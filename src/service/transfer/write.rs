//! Writes a tenant's rows as lines.

use std::collections::HashSet;
use std::io::Write;

use serde_json::value::RawValue;

use crate::service::Error;
use crate::service::transfer::error::TransferError;
use crate::service::transfer::line::{
    self, CountLine, FORM, Header, Line, LineCounts, MemberLine, RecordedLine, ResourceLine, Sum,
};
use crate::store::Conn;
use crate::store::tables::tenants::Tenant;
use crate::store::tables::{changes, tokens, transfer};

/// The number of rows read at a time.
const CHUNK: u16 = 500;

/// Called with the counts so far, from time to time.
pub type Progress = Box<dyn FnMut(LineCounts) + Send>;

/// The tokens to export. Only their hashes are stored; with them, clients can continue to use their
/// tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tokens {
    All,
    None,
    /// Those with these ids.
    Only(HashSet<String>),
}

/// Writes lines, counts them and computes their digest.
pub struct LineBuffer<W> {
    output: W,
    sum: Sum,
    progress: Progress,
}

impl<W: Write> LineBuffer<W> {
    /// Begins with a first line.
    pub fn begin(
        mut output: W,
        first_line: &[u8],
        progress: Progress,
    ) -> Result<Self, TransferError> {
        output
            .write_all(first_line)
            .map_err(TransferError::Output)?;
        Ok(Self {
            output,
            sum: Sum::begin(first_line),
            progress,
        })
    }

    fn content(&mut self, line: &Line) -> Result<(), TransferError> {
        let text = text_of(line)?;
        self.sum.add(line, &text);
        self.output.write_all(&text).map_err(TransferError::Output)
    }

    fn report(&mut self) {
        (self.progress)(self.sum.tally);
    }

    /// Returns the counts and the digest, without writing a last line.
    pub fn into_sum(self) -> Sum {
        self.sum
    }

    /// Writes the last line and flushes the output.
    pub fn end(mut self) -> Result<(LineCounts, W), TransferError> {
        let end = self.sum.end();
        let tally = end.tally;
        let text = text_of(&Line::End(end))?;
        self.output
            .write_all(&text)
            .and_then(|()| self.output.flush())
            .map_err(TransferError::Output)?;
        Ok((tally, self.output))
    }
}

fn text_of(line: &Line) -> Result<Vec<u8>, TransferError> {
    let mut text = serde_json::to_vec(line).map_err(Error::internal)?;
    text.push(b'\n');
    Ok(text)
}

/// Returns the first line.
pub fn first_line(tenant: &Tenant) -> Result<Vec<u8>, TransferError> {
    text_of(&Line::RollcallExport(Header {
        form: FORM,
        tenant: tenant.name.clone(),
        change_seq: tenant.change_seq,
        compatibility: tenant.policy.compatibility.to_string(),
        patch_answer: tenant.policy.patch_answer.to_string(),
        group_names: tenant.policy.group_names.to_string(),
        document_limit_bytes: tenant.policy.document_limit_bytes,
        attribute_values_limit: tenant.policy.attribute_values_limit,
    }))
}

/// Writes everything between the first line and the last.
pub fn content<W: Write>(
    conn: &mut Conn,
    tenant: &Tenant,
    chosen: &Tokens,
    lines: &mut LineBuffer<W>,
) -> Result<(), TransferError> {
    resources(conn, tenant, lines)?;
    members(conn, tenant, lines)?;
    recorded(conn, tenant, lines)?;
    for count in transfer::counts(conn, tenant.id)? {
        lines.content(&Line::Count(CountLine {
            resource_type: count.resource_type,
            live: count.live,
            deleted: count.deleted,
        }))?;
    }
    for token in tokens::list(conn, tenant.id)? {
        if chosen.include(&token.id) {
            lines.content(&Line::Token(line::TokenLine {
                id: token.id,
                name: token.name,
                hash: token.hash,
                scopes: token.scopes,
                fields: token.fields,
                created: token.created,
                expires: token.expires,
                revoked: token.revoked,
            }))?;
        }
    }
    lines.report();
    Ok(())
}

fn resources<W: Write>(
    conn: &mut Conn,
    tenant: &Tenant,
    lines: &mut LineBuffer<W>,
) -> Result<(), TransferError> {
    let mut last = String::new();
    loop {
        let rows = transfer::resources_after(conn, tenant.id, &last, CHUNK.into())?;
        let Some(row) = rows.last() else {
            return Ok(());
        };
        last = row.id.clone();
        for row in rows {
            lines.content(&Line::Resource(ResourceLine {
                id: row.id,
                resource_type: row.resource_type,
                version: row.version,
                created: row.created,
                modified: row.modified,
                password_hash: row.password_hash,
                document: raw(row.doc)?,
            }))?;
        }
        lines.report();
    }
}

fn members<W: Write>(
    conn: &mut Conn,
    tenant: &Tenant,
    lines: &mut LineBuffer<W>,
) -> Result<(), TransferError> {
    let mut group = String::new();
    let mut member = String::new();
    loop {
        let rows = transfer::members_after(conn, tenant.id, (&group, &member), CHUNK.into())?;
        let Some(row) = rows.last() else {
            return Ok(());
        };
        (group, member) = (row.group_id.clone(), row.member_id.clone());
        for row in rows {
            lines.content(&Line::Member(MemberLine {
                group: row.group_id,
                member: row.member_id,
                kind: row.kind,
                display: row.display,
            }))?;
        }
        lines.report();
    }
}

fn recorded<W: Write>(
    conn: &mut Conn,
    tenant: &Tenant,
    lines: &mut LineBuffer<W>,
) -> Result<(), TransferError> {
    let mut last = 0;
    loop {
        let rows = changes::after(conn, tenant.id, last, CHUNK.into())?;
        let Some(row) = rows.last() else {
            return Ok(());
        };
        last = row.seq;
        for row in rows {
            lines.content(&Line::Change(RecordedLine {
                seq: row.seq,
                resource: row.change.resource_id.into_string(),
                resource_type: row.change.resource_type.into_string(),
                kind: row.change.kind.as_str().to_owned(),
                at: row.change.at,
                actor: row.change.actor.to_string(),
                payload: raw(row.change.payload.into_string())?,
            }))?;
        }
        lines.report();
    }
}

/// Returns stored JSON text as it is. This service writes none with a newline.
fn raw(text: String) -> Result<Box<RawValue>, TransferError> {
    Ok(RawValue::from_string(text).map_err(Error::internal)?)
}

impl Tokens {
    fn include(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(ids) => ids.contains(id),
        }
    }
}
