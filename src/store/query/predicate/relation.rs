//! Filters on relational attributes: `members` of groups and the derived `groups` of users.

use scim_core::eval;
use scim_core::filter::{CompareOp, Filter, Operand};
use scim_core::registry::AttrRef;
use serde_json::Value;

use crate::store::engine::fragment::Fragment;
use crate::store::query::predicate::column_test::ColumnTest;
use crate::store::query::predicate::render::render_row;
use crate::store::query::predicate::term::{Condition, Set, Term, TermColumn, Worth};
use crate::store::query::predicate::{Compiler, Sign, Translated, combine, set, test};

/// The types of members.
const KINDS: [&str; 2] = ["User", "Group"];

/// A relational attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    Members,
    Groups,
}

impl Compiler<'_> {
    pub(super) fn relation(&self, path: &AttrRef) -> Option<Relation> {
        let name = path.attribute.name.as_str();
        if path.container.is_some() || !self.rt.is_relational(name) {
            return None;
        }
        match name {
            "members" => Some(Relation::Members),
            "groups" => Some(Relation::Groups),
            _ => None,
        }
    }

    /// Some row of `members` satisfies `row`: a row of the group, or a row of the user as a member.
    pub(super) fn related(&self, path: &AttrRef, row: Term<Condition>) -> Option<Term<Condition>> {
        let row = row.simplified();
        if row == Term::Always(false) {
            return Some(row);
        }
        let worth = row_worth(&row);
        let tests = match &row {
            Term::Always(_) => Fragment::default(),
            row => Fragment::text(" AND ").append(render_row(row, self.backend)),
        };
        Some(set(match self.relation(path)? {
            Relation::Members => Set::new(
                Fragment::text("SELECT group_id FROM members WHERE tenant_id = ")
                    .bind(self.tenant())
                    .append(tests),
                "group_id",
                worth,
            ),
            Relation::Groups => {
                let rows = Fragment::text("SELECT member_id FROM members WHERE tenant_id = ")
                    .bind(self.tenant());
                // A user in any group is a direct member of one.
                let rows = match &row {
                    Term::Always(_) => rows,
                    _ => rows
                        .push(" AND group_id IN (")
                        .append(self.inside(tests))
                        .push(")"),
                };
                Set::new(rows, "member_id", worth)
            }
        }))
    }

    /// The groups that pass the tests, the groups in them, and so on.
    ///
    /// UNION drops rows that were found before, which ends cycles of groups. A partial index has
    /// only the groups in groups, so that a hundred thousand users need not be read to find them.
    fn inside(&self, tests: Fragment) -> Fragment {
        Fragment::text("WITH RECURSIVE inside(id) AS (SELECT id FROM resources WHERE tenant_id = ")
            .bind(self.tenant())
            .push(" AND resource_type = 'Group'")
            .append(tests)
            .push(
                " UNION SELECT members.member_id FROM inside \
                 JOIN members ON members.group_id = inside.id \
                 WHERE members.kind = 'Group' AND members.tenant_id = ",
            )
            .bind(self.tenant())
            .push(") SELECT id FROM inside")
    }

    /// `members[..]` and `groups[..]`.
    pub(super) fn related_element(
        &self,
        path: &AttrRef,
        filter: &Filter,
    ) -> Option<Translated<Condition>> {
        let found = combine(filter, Sign::Plain, &|filter, sign| match filter {
            Filter::Present(path) => {
                let row = self.row_present(path)?;
                Some(Translated::signed(row, sign))
            }
            Filter::Compare { path, op, value } => {
                Some(Translated::exact(self.row_compare(path, *op, value, sign)?))
            }
            _ => None,
        })?;
        Some(Translated {
            term: self.related(path, found.term)?,
            exact: found.exact,
        })
    }

    /// The condition that the row has the attribute.
    fn row_present(&self, path: &AttrRef) -> Option<Term<Condition>> {
        match path.sub.as_deref().map(|sub| sub.name.as_str()) {
            None | Some("value" | "type") => Some(Term::Always(true)),
            Some(_) => None,
        }
    }

    /// One comparison as a condition on a row of `members`.
    pub(super) fn row_compare(
        &self,
        path: &AttrRef,
        op: CompareOp,
        operand: &Operand,
        sign: Sign,
    ) -> Option<Term<Condition>> {
        let signed = |term: Term<Condition>| Translated::signed(term, sign).term;
        match (op, operand) {
            (CompareOp::Eq, Operand::Null) => {
                return Some(signed(self.row_present(path)?.negated()));
            }
            (CompareOp::Ne, Operand::Null) => return Some(signed(self.row_present(path)?)),
            (CompareOp::Ne, _) => {
                return self.row_compare(path, CompareOp::Eq, operand, sign.flip());
            }
            _ => {}
        }
        let sub = path.sub.as_deref()?;
        match (self.relation(path)?, sub.name.as_str()) {
            (Relation::Members, "value") => Some(signed(
                TermColumn::indexed("member_id").passes(test(path, op, operand)?),
            )),
            (Relation::Groups, "value") => Some(signed(
                TermColumn::indexed("id").passes(test(path, op, operand)?),
            )),
            (Relation::Members, "type") => {
                let meant = KINDS
                    .iter()
                    .filter(|kind| eval::compare(path, op, operand, Some(&Value::from(**kind))));
                let meant = meant.map(|kind| {
                    TermColumn::plain("kind")
                        .passes(ColumnTest::Text(CompareOp::Eq, (*kind).to_owned()))
                });
                let meant: Vec<_> = meant.collect();
                Some(signed(if meant.len() == KINDS.len() {
                    Term::Always(true)
                } else {
                    Term::Or(meant)
                }))
            }
            _ => None,
        }
    }
}

/// The selectivity of the index on `members`.
fn row_worth(row: &Term<Condition>) -> Worth {
    match row {
        Term::Always(_) => Worth::All,
        Term::And(terms) => terms.iter().map(row_worth).max().unwrap_or(Worth::All),
        Term::Or(terms) => terms.iter().map(row_worth).min().unwrap_or(Worth::All),
        Term::Atom {
            atom: Condition::Column(column, test),
            negated: false,
        } if column.is_indexed() => match Worth::of(Some(test)) {
            Worth::Equal => Worth::Single,
            worth => worth,
        },
        Term::Atom { .. } => Worth::Some,
    }
}
