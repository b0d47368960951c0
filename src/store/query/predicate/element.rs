//! Value filters over the index: `emails[type eq "work" and value eq "x"]` holds for a single
//! element.
//!
//! An element is identified by the `position` of its rows in `attributes`. The table has rows only
//! for values, so an element without an indexed value is invisible: a filter is compiled only if
//! each of its alternatives requires at least one value, the *driver*. The rest of the alternative
//! is looked up at the driver's position.
//!
//! The rows of a list have the position of each value, so `home.rooms[value eq "r0"]` works in the
//! same way. In `places[tags eq "a"]` the position of a tag does not identify the element of
//! `places`: the documents decide.

use std::cmp::Reverse;

use scim_core::filter::{CompareOp, Filter, Operand};
use scim_core::registry::AttrRef;

use crate::store::engine::fragment::Fragment;
use crate::store::query::predicate::column_test::ColumnTest;
use crate::store::query::predicate::term::{Condition, Set, Term, Worth};
use crate::store::query::predicate::{
    Compiler, Sign, Translated, combine, row_test, set, value_column, worth,
};

/// More alternatives than this are evaluated on the documents instead.
const MOST_ALTERNATIVES: usize = 64;

/// The element has a value at the path, and it passes the test.
#[derive(Debug, Clone, PartialEq)]
struct ElementTest {
    path: AttrRef,
    test: Option<ColumnTest>,
}

impl Compiler<'_> {
    /// Some element of the attribute satisfies the whole filter.
    pub(super) fn any_element(
        &self,
        path: &AttrRef,
        filter: &Filter,
    ) -> Option<Translated<Condition>> {
        if self.relation(path).is_some() {
            return self.related_element(path, filter);
        }
        let found = combine(filter, Sign::Plain, &|filter, sign| {
            Some(Translated::signed(self.row(path, filter)?, sign))
        })?;
        let mut sets = Vec::new();
        self.alternatives(vec![found.term.simplified()], &mut sets)?;
        Some(Translated {
            term: Term::Or(sets.into_iter().map(set).collect()),
            exact: found.exact,
        })
    }

    /// One test of one element of `list`.
    fn row(&self, list: &AttrRef, filter: &Filter) -> Option<Term<ElementTest>> {
        let row = |path: &AttrRef, test: Option<ColumnTest>| {
            let is_of_element = path == list || !path.is_list_in_list();
            (is_of_element && self.is_indexed(path)).then(|| {
                let path = path.clone();
                Term::atom(ElementTest { path, test })
            })
        };
        match filter {
            Filter::Present(path) => row(path, None),
            Filter::Compare { path, op, value } => match (op, value) {
                (CompareOp::Eq, Operand::Null) => row(path, None).map(Term::negated),
                (CompareOp::Ne, Operand::Null) => row(path, None),
                (_, Operand::Null) => Some(Term::Always(false)),
                (CompareOp::Eq, Operand::Bool(truth)) | (CompareOp::Ne, Operand::Bool(truth))
                    if path.is_primary_flag() =>
                {
                    // A missing value is false, so every element that is not primary is "false".
                    let primary = row_test(path, CompareOp::Eq, &Operand::Bool(true))?;
                    let primary = row(path, Some(primary))?;
                    Some(if *truth == (*op == CompareOp::Eq) {
                        primary
                    } else {
                        primary.negated()
                    })
                }
                (CompareOp::Ne, _) => {
                    row(path, Some(row_test(path, CompareOp::Eq, value)?)).map(Term::negated)
                }
                _ => row(path, Some(row_test(path, *op, value)?)),
            },
            _ => None,
        }
    }

    /// Adds a set for each alternative of the conjunction; returns `None` if one of them has no
    /// driver.
    fn alternatives(&self, terms: Vec<Term<ElementTest>>, found: &mut Vec<Set>) -> Option<()> {
        let mut all = Vec::new();
        for term in terms {
            match term {
                Term::And(inner) => all.extend(inner),
                Term::Always(true) => {}
                Term::Always(false) => return Some(()),
                other => all.push(other),
            }
        }
        let best = all
            .iter()
            .enumerate()
            .filter_map(|(index, term)| Some((worth_of(term)?, Reverse(index))))
            .max()?;
        let (_, Reverse(index)) = best;
        match all.remove(index) {
            Term::Or(branches) => {
                for branch in branches {
                    let mut terms = all.clone();
                    terms.insert(index, branch);
                    self.alternatives(terms, found)?;
                }
            }
            Term::Atom { atom, .. } => {
                if found.len() == MOST_ALTERNATIVES {
                    return None;
                }
                found.push(self.select(&atom, &all));
            }
            Term::And(_) | Term::Always(_) => return None,
        }
        Some(())
    }

    fn select(&self, driver: &ElementTest, rest: &[Term<ElementTest>]) -> Set {
        if rest.is_empty() {
            return self.attribute_rows(&driver.path, driver.test.as_ref());
        }
        let mut sql = Fragment::text(
            "SELECT driver.resource_id FROM attributes AS driver WHERE driver.tenant_id = ",
        )
        .bind(self.tenant())
        .push(" AND driver.path = ")
        .bind_text(driver.path.key());
        if let Some(test) = &driver.test {
            sql = sql
                .push(" AND ")
                .append(test.sql(driver_column(test), false, self.backend));
        }
        for term in rest {
            sql = sql.push(" AND ").append(self.same_element(driver, term));
        }
        Set::new(
            sql,
            "driver.resource_id",
            worth(&driver.path, driver.test.as_ref()),
        )
    }

    /// A condition on the element that the driver's row belongs to.
    fn same_element(&self, driver: &ElementTest, term: &Term<ElementTest>) -> Fragment {
        let join = |terms: &[Term<ElementTest>], separator| {
            let terms = terms.iter().map(|term| self.same_element(driver, term));
            Fragment::text("(")
                .append(Fragment::join(terms, separator))
                .push(")")
        };
        match term {
            Term::Always(true) => Fragment::text("TRUE"),
            Term::Always(false) => Fragment::text("FALSE"),
            Term::And(terms) => join(terms, " AND "),
            Term::Or(terms) => join(terms, " OR "),
            Term::Atom { atom, negated } if atom.path == driver.path => match &atom.test {
                Some(test) => test.sql(driver_column(test), *negated, self.backend),
                None => Fragment::text(if *negated { "FALSE" } else { "TRUE" }),
            },
            Term::Atom { atom, negated } => {
                let rows = Fragment::text(if *negated { "NOT EXISTS (" } else { "EXISTS (" })
                    .push(
                        "SELECT 1 FROM attributes WHERE tenant_id = driver.tenant_id \
                         AND resource_id = driver.resource_id AND position = driver.position \
                         AND path = ",
                    )
                    .bind_text(atom.path.key());
                let rows = match &atom.test {
                    Some(test) => {
                        rows.push(" AND ")
                            .append(test.sql(value_column(test), false, self.backend))
                    }
                    None => rows,
                };
                rows.push(")")
            }
        }
    }
}

fn driver_column(test: &ColumnTest) -> &'static str {
    match value_column(test) {
        "num" => "driver.num",
        _ => "driver.text",
    }
}

/// The selectivity of the term as a driver; `None` if it cannot be one.
fn worth_of(term: &Term<ElementTest>) -> Option<Worth> {
    match term {
        Term::Always(_) | Term::Atom { negated: true, .. } => None,
        Term::And(terms) => terms.iter().filter_map(worth_of).max(),
        Term::Or(terms) => {
            let worths: Option<Vec<Worth>> = terms.iter().map(worth_of).collect();
            worths?.into_iter().min()
        }
        Term::Atom { atom, .. } => Some(worth(&atom.path, atom.test.as_ref())),
    }
}
