//! Conditions as SQL.

use crate::store::Backend;
use crate::store::engine::fragment::Fragment;
use crate::store::query::predicate::Compiler;
use crate::store::query::predicate::column_test::ColumnTest;
use crate::store::query::predicate::term::{Condition, Term};

/// Whether the rows of a term are found by indexes, or by reading all resources in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScanKind {
    Found,
    Read,
}

/// Writes a condition on rows of `members`: columns alone.
pub fn render_row(term: &Term<Condition>, backend: Backend) -> Fragment {
    let all = |terms: &[Term<Condition>], separator| {
        let terms = terms.iter().map(|term| render_row(term, backend));
        parenthesised(Fragment::join(terms, separator))
    };
    match term {
        Term::Always(truth) => constant(*truth),
        Term::And(terms) => all(terms, " AND "),
        Term::Or(terms) => all(terms, " OR "),
        Term::Atom { atom, negated } => atom.render(*negated, ScanKind::Found, backend),
    }
}

impl Condition {
    fn render(&self, negated: bool, access: ScanKind, backend: Backend) -> Fragment {
        match self {
            Self::Column(column, test) => {
                let condition = test.sql(column.name, negated, backend);
                if negated && column.nullable && *test != ColumnTest::Present {
                    // The test of NULL is NULL, but its opposite must be true.
                    let is_null = Fragment::text(column.name).push(" IS NULL OR ");
                    return parenthesised(is_null.append(condition));
                }
                condition
            }
            Self::Set(set) => {
                let (start, rows) = match (negated, access) {
                    (false, ScanKind::Found) => ("id IN (", &set.select),
                    (false, ScanKind::Read) => ("EXISTS (", &set.probe),
                    (true, _) => ("NOT EXISTS (", &set.probe),
                };
                Fragment::text(start).append(rows.clone()).push(")")
            }
        }
    }
}

impl Compiler<'_> {
    /// Writes a condition on `resources`.
    ///
    /// The most selective term uses its index, and the rest is checked for each resource found.
    /// Alternatives that indexes find become one set of ids: with `OR` between a column and a set,
    /// the databases would read the whole table.
    pub(super) fn render(&self, term: &Term<Condition>) -> Fragment {
        if term.worth().is_none() {
            return self.render_read(term);
        }
        match term {
            Term::Always(truth) => constant(*truth),
            Term::Atom { atom, negated } => atom.render(*negated, ScanKind::Found, self.backend),
            Term::And(terms) => {
                let best = terms.iter().rev().max_by_key(|term| term.worth());
                let terms = terms.iter().map(|term| {
                    if best.is_some_and(|best| std::ptr::eq(best, term)) {
                        self.render(term)
                    } else {
                        self.render_read(term)
                    }
                });
                parenthesised(Fragment::join(terms, " AND "))
            }
            Term::Or(terms) => {
                let selects = terms.iter().map(|term| self.select_ids(term));
                Fragment::text("id IN (")
                    .append(Fragment::join(selects, " UNION "))
                    .push(")")
            }
        }
    }

    /// Writes a condition that is checked for each resource.
    fn render_read(&self, term: &Term<Condition>) -> Fragment {
        let all = |terms: &[Term<Condition>], separator| {
            let terms = terms.iter().map(|term| self.render_read(term));
            parenthesised(Fragment::join(terms, separator))
        };
        match term {
            Term::Always(truth) => constant(*truth),
            Term::And(terms) => all(terms, " AND "),
            Term::Or(terms) => all(terms, " OR "),
            Term::Atom { atom, negated } => atom.render(*negated, ScanKind::Read, self.backend),
        }
    }

    fn select_ids(&self, term: &Term<Condition>) -> Fragment {
        if let Term::Atom {
            atom: Condition::Set(set),
            negated: false,
        } = term
        {
            return set.select.clone();
        }
        Fragment::text("SELECT id FROM resources WHERE tenant_id = ")
            .bind(self.tenant())
            .push(" AND resource_type = ")
            .bind_text(&self.rt.name)
            .push(" AND ")
            .append(self.render(term))
    }
}

fn constant(truth: bool) -> Fragment {
    Fragment::text(if truth { "TRUE" } else { "FALSE" })
}

fn parenthesised(inner: Fragment) -> Fragment {
    Fragment::text("(").append(inner).push(")")
}
