//! Reads lines into a tenant's rows.

use std::collections::HashSet;
use std::io::BufRead;

use scim_core::compatibility::UnknownCompatibility;
use scim_core::{Document, Registry, indexing};

use crate::ids::Actor;
use crate::service::access::tenants as named;
use crate::service::transfer::error::TransferError;
use crate::service::transfer::line::{self, EndLine, FORM, Header, Line, LineCounts, Lines, Sum};
use crate::service::transfer::write;
use crate::service::transfer::write::{Progress, Tokens};
use crate::store::tables::changes::{Change, ChangeKind, RecordedChange};
use crate::store::tables::counts::Count;
use crate::store::tables::tenants::{Policy, Tenant, UnknownGroupNames, UnknownPatchAnswer};
use crate::store::tables::tokens::Token;
use crate::store::tables::transfer::{ImportedResource, MembershipRow, ResourceRow};
use crate::store::tables::{tenants, tokens, transfer};
use crate::store::{Conn, ResourceId, StoreError};

/// The number of rows written at a time.
const CHUNK: usize = 500;

/// The tenant that an import fills.
pub struct ImportTarget {
    /// The name of the tenant, if it differs from that in the export.
    pub name: Option<String>,
    /// The time of the import, in microseconds since the epoch.
    pub now_us: i64,
}

/// Reads all lines, and compares the rows then in the database with the digest of the file.
pub fn import<R: BufRead>(
    conn: &mut Conn,
    registry: &Registry,
    target: ImportTarget,
    mut lines: Lines<R>,
    progress: Progress,
) -> Result<LineCounts, TransferError> {
    let (header, first_line) = first_line(&mut lines)?;
    let policy = policy_of(&header).map_err(|text| lines.fault(&text))?;
    let name = target.name.unwrap_or(header.tenant);
    let tenant = empty_tenant(conn, &name, target.now_us)?;
    tenants::set_policy(conn, tenant.id, policy)?;
    let mut pending = PendingRows {
        registry,
        tenant: &tenant,
        change_seq: header.change_seq,
        progress,
        batch: Batch::None,
        counts: Vec::new(),
        tokens: HashSet::new(),
        last: Last::default(),
        sum: Sum::begin(&first_line),
    };
    let end = loop {
        if let Some(end) = pending.take(conn, &mut lines)? {
            break end;
        }
    };
    pending.flush(conn, &lines)?;
    let PendingRows {
        counts,
        tokens,
        sum,
        ..
    } = pending;
    if sum.end() != end {
        return Err(lines.fault(
            "the lines before are not those that the export wrote: their number or SHA-256 differs",
        ));
    }
    transfer::settle(conn, tenant.id, &counts, header.change_seq)?;
    verify(conn, &tenant, &first_line, &end, tokens)?;
    Ok(end.tally)
}

fn first_line<R: BufRead>(lines: &mut Lines<R>) -> Result<(Header, Vec<u8>), TransferError> {
    match lines.next() {
        Ok((Line::RollcallExport(header), text)) if header.form == FORM => {
            Ok((header, text.to_vec()))
        }
        Ok((Line::RollcallExport(header), _)) => {
            let problem = format!("the form {} of an export is not known here", header.form);
            Err(lines.fault(&problem))
        }
        Ok(_) | Err(TransferError::Line { .. }) => {
            Err(lines.fault("this is no export of `rollcall export`"))
        }
        Err(error) => Err(error),
    }
}

fn policy_of(header: &Header) -> Result<Policy, String> {
    Ok(Policy {
        compatibility: header
            .compatibility
            .parse()
            .map_err(|error: UnknownCompatibility| error.to_string())?,
        patch_answer: header
            .patch_answer
            .parse()
            .map_err(|error: UnknownPatchAnswer| error.to_string())?,
        group_names: header
            .group_names
            .parse()
            .map_err(|error: UnknownGroupNames| error.to_string())?,
        document_limit_bytes: header.document_limit_bytes,
        attribute_values_limit: header.attribute_values_limit,
    })
}

fn empty_tenant(conn: &mut Conn, name: &str, now_us: i64) -> Result<Tenant, TransferError> {
    let Some(tenant) = tenants::by_name(conn, name)? else {
        named::check_name(name)?;
        return Ok(tenants::create(conn, name, now_us)?);
    };
    if transfer::is_used(conn, tenant.id)? {
        return Err(TransferError::Refused(format!(
            "the tenant `{name}` has resources or a history; import into an empty one, or under another name with --tenant"
        )));
    }
    Ok(tenant)
}

/// Lines of one kind that are read and not written yet.
enum Batch {
    None,
    Resources(Vec<ImportedResource>),
    Members(Vec<MembershipRow>),
    Changes(Vec<RecordedChange>),
}

struct PendingRows<'a> {
    registry: &'a Registry,
    tenant: &'a Tenant,
    change_seq: i64,
    progress: Progress,
    batch: Batch,
    counts: Vec<Count>,
    tokens: HashSet<String>,
    sum: Sum,
    last: Last,
}

/// The keys of the last lines. Each kind is in order, so that duplicates are found.
#[derive(Default)]
struct Last {
    resource: String,
    member: (String, String),
    change: Option<i64>,
}

impl Last {
    fn follow(&mut self, line: &Line) -> Result<(), String> {
        let is_next = match line {
            Line::Resource(line) => advance(&mut self.resource, line.id.clone()),
            Line::Member(line) => {
                let key = (line.group.clone(), line.member.clone());
                advance(&mut self.member, key)
            }
            Line::Change(line) => {
                let before = self.change.replace(line.seq);
                before.is_none_or(|before| before.checked_add(1) == Some(line.seq))
            }
            _ => true,
        };
        if is_next {
            Ok(())
        } else {
            Err("this line is there a second time, or not in its place".to_owned())
        }
    }
}

fn advance<K: PartialOrd>(last: &mut K, key: K) -> bool {
    let is_next = *last < key;
    *last = key;
    is_next
}

impl PendingRows<'_> {
    /// Reads one line, and returns it if it is the last.
    fn take<R: BufRead>(
        &mut self,
        conn: &mut Conn,
        lines: &mut Lines<R>,
    ) -> Result<Option<EndLine>, TransferError> {
        let (line, text) = lines.next()?;
        if let Line::End(end) = line {
            return Ok(Some(end));
        }
        self.sum.add(&line, text);
        self.last.follow(&line).map_err(|text| lines.fault(&text))?;
        match line {
            Line::Resource(resource) => {
                let resource = self.imported(resource).map_err(|text| lines.fault(&text))?;
                match &mut self.batch {
                    Batch::Resources(list) => list.push(resource),
                    _ => self.begin(conn, lines, Batch::Resources(vec![resource]))?,
                }
            }
            Line::Member(member) => {
                let row = MembershipRow {
                    group_id: member.group,
                    member_id: member.member,
                    kind: member.kind,
                    display: member.display,
                };
                match &mut self.batch {
                    Batch::Members(list) => list.push(row),
                    _ => self.begin(conn, lines, Batch::Members(vec![row]))?,
                }
            }
            Line::Change(change) => {
                let row = self.recorded(change).map_err(|text| lines.fault(&text))?;
                match &mut self.batch {
                    Batch::Changes(list) => list.push(row),
                    _ => self.begin(conn, lines, Batch::Changes(vec![row]))?,
                }
            }
            Line::Count(count) => self.counts.push(Count {
                resource_type: count.resource_type,
                live: count.live,
                deleted: count.deleted,
            }),
            Line::Token(token) => self.token(conn, lines, token)?,
            Line::RollcallExport(_) => return Err(lines.fault("a second first line")),
            Line::End(_) => {}
        }
        if self.batch.len() >= CHUNK {
            self.flush(conn, lines)?;
        }
        Ok(None)
    }

    fn token<R: BufRead>(
        &mut self,
        conn: &mut Conn,
        lines: &Lines<R>,
        line: line::TokenLine,
    ) -> Result<(), TransferError> {
        self.tokens.insert(line.id.clone());
        let name = line.name.clone();
        let token = Token {
            id: line.id,
            tenant: self.tenant.id,
            name: line.name,
            hash: line.hash,
            scopes: line.scopes,
            fields: line.fields,
            created: line.created,
            expires: line.expires,
            last_used: None,
            revoked: line.revoked,
        };
        tokens::insert(conn, token).map_err(|error| match error {
            StoreError::Duplicate(_) => lines.fault(&format!(
                "the token `{name}` is in this database already, or another one of its name; revoke that one, \
                 or export --without-tokens"
            )),
            error => error.into(),
        })
    }

    fn begin<R: BufRead>(
        &mut self,
        conn: &mut Conn,
        lines: &Lines<R>,
        batch: Batch,
    ) -> Result<(), TransferError> {
        self.flush(conn, lines)?;
        self.batch = batch;
        Ok(())
    }

    fn flush<R: BufRead>(
        &mut self,
        conn: &mut Conn,
        lines: &Lines<R>,
    ) -> Result<(), TransferError> {
        let tenant = self.tenant.id;
        let written = match std::mem::replace(&mut self.batch, Batch::None) {
            Batch::None => return Ok(()),
            Batch::Resources(list) => transfer::insert_resources(conn, tenant, &list),
            Batch::Members(list) => transfer::insert_members(conn, tenant, &list),
            Batch::Changes(list) => transfer::insert_changes(conn, tenant, list),
        };
        (self.progress)(self.sum.tally);
        written.map_err(|error| match error {
            StoreError::Duplicate(what) => lines.fault(&format!(
                "here or up to {CHUNK} lines before, {what} is there a second time"
            )),
            StoreError::Held { path, .. } => lines.fault(&format!(
                "here or up to {CHUNK} lines before, a value of {path} is there a second time, and it must be unique"
            )),
            error => error.into(),
        })
    }

    fn imported(&self, line: line::ResourceLine) -> Result<ImportedResource, String> {
        let rt = self.registry.by_name(&line.resource_type).ok_or_else(|| {
            format!(
                "a resource of the type {:?}, which this installation does not declare",
                line.resource_type
            )
        })?;
        let text = line.document.get();
        let document = Document::parse(text).map_err(|error| format!("no document: {error}"))?;
        if document.id() != Some(line.id.as_str()) {
            return Err(format!("the document of {:?} has another id", line.id));
        }
        Ok(ImportedResource {
            hot: indexing::hot_columns(rt, &document),
            label: indexing::label(&document),
            index: indexing::index_rows(rt, &document),
            row: ResourceRow {
                doc: text.to_owned(),
                id: line.id,
                resource_type: line.resource_type,
                version: line.version,
                created: line.created,
                modified: line.modified,
                password_hash: line.password_hash,
            },
        })
    }

    fn recorded(&self, line: line::RecordedLine) -> Result<RecordedChange, String> {
        if line.seq < 1 || line.seq > self.change_seq {
            return Err(format!("a change with the number {}", line.seq));
        }
        let kind = ChangeKind::parse(&line.kind)
            .ok_or_else(|| format!("a change of the unknown kind {:?}", line.kind))?;
        let resource_id = ResourceId::parse(&line.resource)
            .ok_or_else(|| format!("a change of {:?}, which is no id", line.resource))?;
        if line.actor.contains('\0') || line.resource_type.contains('\0') {
            return Err("a change with a U+0000, which PostgreSQL cannot store".to_owned());
        }
        Ok(RecordedChange {
            seq: line.seq,
            change: Change {
                resource_id,
                resource_type: line.resource_type.into(),
                kind,
                at: line.at,
                actor: Actor::parse(&line.actor),
                payload: line.payload.get().into(),
            },
        })
    }
}

impl Batch {
    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Resources(list) => list.len(),
            Self::Members(list) => list.len(),
            Self::Changes(list) => list.len(),
        }
    }
}

/// Reads everything back as an export would and compares it with what the file says.
fn verify(
    conn: &mut Conn,
    tenant: &Tenant,
    first_line: &[u8],
    end: &EndLine,
    tokens: HashSet<String>,
) -> Result<(), TransferError> {
    if let Some(group) = transfer::stray_members(conn, tenant.id)?.first() {
        return Err(TransferError::Refused(format!(
            "the group {} has a member that the export lacks, or is missing itself",
            group.as_str()
        )));
    }
    let mut lines = write::LineBuffer::begin(std::io::sink(), first_line, Box::new(|_| {}))?;
    write::content(conn, tenant, &Tokens::Only(tokens), &mut lines)?;
    let found = lines.into_sum().end();
    if found == *end {
        return Ok(());
    }
    Err(TransferError::Refused(format!(
        "the database does not hold what the file says, so nothing is kept: {} was expected, {} is there",
        end.sha256, found.sha256
    )))
}
