//! Compiles a resolved filter to an SQL condition on `resources`.
//!
//! The condition agrees with [`scim_core::eval`], or at least holds for every resource that matches
//! ([`Plan::exact`] says which). A property test checks this on both databases. This module must
//! not know pages or the content of documents.
//!
//! Two forms make the databases use indexes: `id IN (SELECT ..)` for rows of other tables, and
//! `id IN (SELECT .. UNION SELECT ..)` for alternatives. Conditions without an index, such as the
//! complement of a set, are checked for each resource that is read. No condition is ever NULL, so
//! each can be negated.

mod column_test;
mod element;
mod relation;
mod render;
mod term;

use scim_core::filter::{CompareOp, Filter, Operand};
use scim_core::registry::AttrRef;
use scim_core::schema::Type;
use scim_core::{ResourceType, eval};

use crate::store::engine::fragment::{Fragment, OwnedBind};
use crate::store::{Backend, TenantId};
use column_test::ColumnTest;
pub use column_test::successor;
pub(in crate::store) use column_test::unindexed;
use term::{Condition, Set, Term, TermColumn, Worth};

/// A filter with more parameters is evaluated on the documents instead. SQLite allows 32,766.
const MOST_BINDS: usize = 2_000;

/// The way to find the resources that match a filter.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// A condition that holds for every match; `None` if SQL cannot narrow the search.
    pub predicate: Option<Fragment>,
    /// Whether it holds only for matches; otherwise the documents decide.
    pub exact: bool,
    /// Whether indexes find the resources for which the predicate holds; otherwise resources are
    /// best read in their order.
    pub found: bool,
    /// How many comparisons each resource of the type may cost; 0 if an index finds equal values.
    pub tests: u64,
}

impl Plan {
    /// The plan of no filter.
    pub fn everything() -> Self {
        Self {
            predicate: None,
            exact: true,
            found: false,
            tests: 0,
        }
    }

    /// The plan that leaves everything to the documents.
    fn nothing_known(filter: &Filter) -> Self {
        Self {
            predicate: None,
            exact: false,
            found: false,
            tests: comparisons(filter),
        }
    }
}

/// Compiles a filter on resources of one type.
pub fn plan(backend: Backend, tenant: TenantId, rt: &ResourceType, filter: &Filter) -> Plan {
    let compiler = Compiler {
        backend,
        tenant,
        rt,
    };
    let Some(found) = compiler.resource(filter, Sign::Plain) else {
        return Plan::nothing_known(filter);
    };
    let term = found.term.simplified();
    let predicate = match &term {
        Term::Always(true) => None,
        term => Some(compiler.render(term)),
    };
    if predicate
        .as_ref()
        .is_some_and(|sql| sql.bind_count() > MOST_BINDS)
    {
        return Plan::nothing_known(filter);
    }
    let tests = if found.exact {
        term.tests()
    } else if term.worth() >= Some(Worth::Equal) {
        0
    } else {
        comparisons(filter)
    };
    Plan {
        tests,
        predicate: predicate.map(|sql| if is_lookup(filter) { sql.cached() } else { sql }),
        exact: found.exact,
        found: term.worth() >= Some(Worth::Range),
    }
}

fn comparisons(filter: &Filter) -> u64 {
    u64::try_from(filter.comparisons()).unwrap_or(u64::MAX)
}

/// Whether the filter is a single `attribute eq "text"`: the form that identity providers send
/// most, and for which there are only a few SQL texts.
fn is_lookup(filter: &Filter) -> bool {
    matches!(
        filter,
        Filter::Compare {
            op: CompareOp::Eq,
            value: Operand::Text(_),
            ..
        }
    )
}

/// The context for which a filter is compiled.
struct Compiler<'a> {
    backend: Backend,
    tenant: TenantId,
    rt: &'a ResourceType,
}

/// Whether a filter is under an odd number of `not`. Negations are pushed down to the comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Plain,
    Negated,
}

impl Sign {
    fn flip(self) -> Self {
        match self {
            Self::Plain => Self::Negated,
            Self::Negated => Self::Plain,
        }
    }
}

/// A condition that holds for every match, and whether it holds only for matches. There is none of
/// these if only "true" would be correct.
struct Translated<A> {
    term: Term<A>,
    exact: bool,
}

impl<A> Translated<A> {
    fn exact(term: Term<A>) -> Self {
        Self { term, exact: true }
    }

    /// The condition for the filter or its opposite, from an exact one for the filter.
    fn signed(term: Term<A>, sign: Sign) -> Self {
        Self::exact(match sign {
            Sign::Plain => term,
            Sign::Negated => term.negated(),
        })
    }
}

/// Translates `and`, `or` and `not`, and calls `atom` for the rest.
fn combine<A>(
    filter: &Filter,
    sign: Sign,
    atom: &dyn Fn(&Filter, Sign) -> Option<Translated<A>>,
) -> Option<Translated<A>> {
    match (filter, sign) {
        (Filter::Not(inner), _) => combine(inner, sign.flip(), atom),
        (Filter::And(inner), Sign::Plain) | (Filter::Or(inner), Sign::Negated) => {
            // The parts without an SQL form are left to the documents.
            let found: Vec<Translated<A>> = inner
                .iter()
                .filter_map(|filter| combine(filter, sign, atom))
                .collect();
            if found.is_empty() && !inner.is_empty() {
                return None;
            }
            Some(Translated {
                exact: found.len() == inner.len() && found.iter().all(|one| one.exact),
                term: Term::And(found.into_iter().map(|one| one.term).collect()),
            })
        }
        (Filter::Or(inner), Sign::Plain) | (Filter::And(inner), Sign::Negated) => {
            let found: Option<Vec<Translated<A>>> = inner
                .iter()
                .map(|filter| combine(filter, sign, atom))
                .collect();
            let found = found?;
            Some(Translated {
                exact: found.iter().all(|one| one.exact),
                term: Term::Or(found.into_iter().map(|one| one.term).collect()),
            })
        }
        _ => atom(filter, sign),
    }
}

impl Compiler<'_> {
    /// The condition on `resources`.
    fn resource(&self, filter: &Filter, sign: Sign) -> Option<Translated<Condition>> {
        combine(filter, sign, &|filter, sign| match filter {
            Filter::Present(path) => Some(Translated::signed(self.present(path)?, sign)),
            Filter::Compare { path, op, value } => {
                Some(Translated::signed(self.compare(path, *op, value)?, sign))
            }
            Filter::Element { path, filter } => {
                let found = self.any_element(path, filter)?;
                match sign {
                    Sign::Plain => Some(found),
                    Sign::Negated if found.exact => Some(Translated::exact(found.term.negated())),
                    Sign::Negated => None,
                }
            }
            Filter::And(_) | Filter::Or(_) | Filter::Not(_) => None,
        })
    }

    fn present(&self, path: &AttrRef) -> Option<Term<Condition>> {
        if path.container.is_none() && path.attribute.name == "meta" {
            return Some(Term::Always(true));
        }
        if let Some(column) = self.column(path) {
            return Some(column.passes(ColumnTest::Present));
        }
        if self.relation(path).is_some() {
            return match path.sub.as_deref().map(|sub| sub.name.as_str()) {
                None | Some("value" | "type") => self.related(path, Term::Always(true)),
                Some(_) => None,
            };
        }
        self.is_indexed(path)
            .then(|| set(self.attribute_rows(path, None)))
    }

    fn compare(&self, path: &AttrRef, op: CompareOp, operand: &Operand) -> Option<Term<Condition>> {
        match (op, operand) {
            (CompareOp::Eq, Operand::Null) => return self.present(path).map(Term::negated),
            (CompareOp::Ne, Operand::Null) => return self.present(path),
            (_, Operand::Null) => return Some(Term::Always(false)),
            // `ne` on a multi-valued attribute: some value differs, or there is none.
            (CompareOp::Ne, _) if path.is_multi_valued() => {
                return Some(Term::Or(vec![
                    self.differs(path, operand)?,
                    self.compare(path, CompareOp::Eq, &Operand::Null)?,
                ]));
            }
            (CompareOp::Ne, _) => {
                return self
                    .compare(path, CompareOp::Eq, operand)
                    .map(Term::negated);
            }
            _ => {}
        }
        match path.key() {
            "meta.resourceType" => {
                let own = serde_json::Value::from(self.rt.name.as_str());
                return Some(Term::Always(eval::compare(path, op, operand, Some(&own))));
            }
            "meta.version" => return version(op, operand),
            _ => {}
        }
        if let Some(column) = self.column(path) {
            return Some(column.passes(test(path, op, operand)?));
        }
        if self.relation(path).is_some() {
            let row = self.row_compare(path, op, operand, Sign::Plain)?;
            return self.related(path, row);
        }
        // A missing `primary` counts as false, and there are rows only for `true`.
        if !self.is_indexed(path) || path.is_primary_flag() && *operand != Operand::Bool(true) {
            return None;
        }
        let test = row_test(path, op, operand)?;
        Some(set(self.attribute_rows(path, Some(&test))))
    }

    /// Some value of the multi-valued attribute differs from the operand.
    fn differs(&self, path: &AttrRef, operand: &Operand) -> Option<Term<Condition>> {
        if self.relation(path).is_some() {
            let row = self.row_compare(path, CompareOp::Eq, operand, Sign::Negated)?;
            return self.related(path, row);
        }
        if !self.is_indexed(path) || path.is_primary_flag() {
            return None;
        }
        let test = row_test(path, CompareOp::Ne, operand)?;
        Some(set(self.attribute_rows(path, Some(&test))))
    }

    /// The column of `resources` with the comparable value of the attribute.
    fn column(&self, path: &AttrRef) -> Option<TermColumn> {
        let is = |kind: Type| path.leaf().kind == kind && !path.is_multi_valued();
        match path.key() {
            "id" => Some(TermColumn::indexed("id")),
            "meta.created" => Some(TermColumn::plain("created")),
            "meta.lastModified" => Some(TermColumn::plain("modified")),
            "externalId" => Some(TermColumn::indexed("external_id").nullable()),
            "userName" if is(Type::String) => Some(TermColumn::indexed("user_name").nullable()),
            "displayName" if is(Type::String) => {
                Some(TermColumn::indexed("display_name").nullable())
            }
            "active" if is(Type::Boolean) => Some(TermColumn::plain("active").nullable()),
            _ => None,
        }
    }

    fn is_indexed(&self, path: &AttrRef) -> bool {
        self.rt.indexed.contains(path)
    }

    /// The resources with a value at the path that passes the test.
    fn attribute_rows(&self, path: &AttrRef, test: Option<&ColumnTest>) -> Set {
        let rows = Fragment::text("SELECT resource_id FROM attributes WHERE tenant_id = ")
            .bind(self.tenant())
            .push(" AND path = ")
            .bind_text(path.key());
        let rows = match test {
            None => rows,
            Some(test) => {
                rows.push(" AND ")
                    .append(test.sql(value_column(test), false, self.backend))
            }
        };
        Set::new(rows, "resource_id", worth(path, test))
    }

    fn tenant(&self) -> OwnedBind {
        OwnedBind::BigInt(self.tenant.0)
    }
}

fn set(set: Set) -> Term<Condition> {
    Term::atom(Condition::Set(set))
}

/// The selectivity of the index for one path: an address or an id is selective, a type is not.
fn worth(path: &AttrRef, test: Option<&ColumnTest>) -> Worth {
    match (Worth::of(test), path.leaf().name.as_str()) {
        (Worth::Equal, "value") => Worth::Single,
        (Worth::Equal | Worth::Range, "type") => Worth::Some,
        (worth, _) => worth,
    }
}

/// The column of `attributes` for the kind of value.
fn value_column(test: &ColumnTest) -> &'static str {
    match test {
        ColumnTest::Text(..) | ColumnTest::Present => "text",
        ColumnTest::BigInt(..) | ColumnTest::Double(..) | ColumnTest::Bool(_) => "num",
    }
}

/// The test of a comparison other than `ne`; `None` if the value is not of the attribute's type.
fn test(path: &AttrRef, op: CompareOp, operand: &Operand) -> Option<ColumnTest> {
    let is_part = matches!(op, CompareOp::Co | CompareOp::Sw | CompareOp::Ew);
    match (operand, path.leaf().kind) {
        (Operand::Text(value), Type::String | Type::Reference | Type::Binary) => {
            Some(ColumnTest::Text(op, value.clone()))
        }
        (Operand::Instant(value), Type::DateTime) if !is_part => {
            Some(ColumnTest::BigInt(op, *value))
        }
        (Operand::Number(value), Type::Integer | Type::Decimal) if !is_part => {
            Some(ColumnTest::Double(op, *value))
        }
        (Operand::Bool(value), Type::Boolean) if op == CompareOp::Eq => {
            Some(ColumnTest::Bool(*value))
        }
        _ => None,
    }
}

/// The same for rows of `attributes`, which store booleans and times as numbers.
fn row_test(path: &AttrRef, op: CompareOp, operand: &Operand) -> Option<ColumnTest> {
    match (operand, path.leaf().kind) {
        (Operand::Bool(value), Type::Boolean) if matches!(op, CompareOp::Eq | CompareOp::Ne) => {
            Some(ColumnTest::Double(op, if *value { 1.0 } else { 0.0 }))
        }
        // Beyond this, in the year 2255, a DOUBLE cannot distinguish microseconds.
        (Operand::Instant(value), _) if value.unsigned_abs() >= 1 << 53 => None,
        _ => test(path, op, operand),
    }
}

/// `meta.version eq "W/\"3\""`: the text is derived from the column, so only its own spelling can
/// be equal.
fn version(op: CompareOp, operand: &Operand) -> Option<Term<Condition>> {
    let (CompareOp::Eq, Operand::Text(text)) = (op, operand) else {
        return None;
    };
    let digits = text
        .strip_prefix("W/\"")
        .and_then(|rest| rest.strip_suffix('"'));
    let number = digits.and_then(|digits| digits.parse::<i64>().ok());
    Some(match number {
        Some(number) if number.to_string().as_str() == digits.unwrap_or_default() => {
            TermColumn::plain("version").passes(ColumnTest::BigInt(CompareOp::Eq, number))
        }
        _ => Term::Always(false),
    })
}
