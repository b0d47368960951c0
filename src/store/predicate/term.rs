//! Conditions on one row that are true or false, never NULL, and how they are written.

use crate::store::Backend;
use crate::store::predicate::Compiler;
use crate::store::predicate::fragment::{Fragment, Test};

/// Atoms under `and`, `or` and `not`, the last pushed down to the atoms.
#[derive(Debug, Clone, PartialEq)]
pub enum Term<A> {
    Always(bool),
    And(Vec<Term<A>>),
    Or(Vec<Term<A>>),
    Atom { atom: A, negated: bool },
}

/// A condition on a row; of `resources` unless said otherwise.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The column has a value, and it passes.
    Column(Column, Test),
    /// `id IN (select)`; the column of the select is NOT NULL.
    Set(Fragment),
}

/// A column and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    nullable: bool,
    indexed: bool,
}

impl Column {
    pub fn plain(name: &'static str) -> Self {
        Self {
            name,
            nullable: false,
            indexed: false,
        }
    }

    pub fn indexed(name: &'static str) -> Self {
        Self {
            indexed: true,
            ..Self::plain(name)
        }
    }

    pub fn nullable(self) -> Self {
        Self {
            nullable: true,
            ..self
        }
    }

    /// The condition that the column has a value that passes.
    pub fn passes(self, test: Test) -> Term<Condition> {
        if test == Test::Present && !self.nullable {
            return Term::Always(true);
        }
        Term::atom(Condition::Column(self, test))
    }
}

impl<A> Term<A> {
    pub fn atom(atom: A) -> Self {
        Self::Atom {
            atom,
            negated: false,
        }
    }

    /// The opposite.
    #[must_use]
    pub fn negated(self) -> Self {
        let all = |terms: Vec<Self>| terms.into_iter().map(Self::negated).collect();
        match self {
            Self::Always(truth) => Self::Always(!truth),
            Self::And(terms) => Self::Or(all(terms)),
            Self::Or(terms) => Self::And(all(terms)),
            Self::Atom { atom, negated } => Self::Atom {
                atom,
                negated: !negated,
            },
        }
    }

    /// The same condition without constants inside, and without an `and` in an `and` or an `or` in an `or`.
    #[must_use]
    pub fn simplified(self) -> Self {
        match self {
            Self::And(terms) => {
                let mut kept = Vec::new();
                for term in terms {
                    match term.simplified() {
                        Self::Always(true) => {}
                        Self::Always(false) => return Self::Always(false),
                        Self::And(inner) => kept.extend(inner),
                        other => kept.push(other),
                    }
                }
                single(kept, true, Self::And)
            }
            Self::Or(terms) => {
                let mut kept = Vec::new();
                for term in terms {
                    match term.simplified() {
                        Self::Always(false) => {}
                        Self::Always(true) => return Self::Always(true),
                        Self::Or(inner) => kept.extend(inner),
                        other => kept.push(other),
                    }
                }
                single(kept, false, Self::Or)
            }
            other => other,
        }
    }
}

impl Term<Condition> {
    /// Whether the rows are found without reading all resources of the type.
    fn is_narrow(&self) -> bool {
        match self {
            Self::Always(truth) => !truth,
            Self::And(terms) => terms.iter().any(Self::is_narrow),
            Self::Or(terms) => terms.iter().all(Self::is_narrow),
            Self::Atom { negated: true, .. } => false,
            Self::Atom { atom, .. } => match atom {
                Condition::Column(column, test) => column.indexed && test.is_range(),
                Condition::Set(_) => true,
            },
        }
    }
}

fn single<A>(mut terms: Vec<Term<A>>, empty: bool, many: fn(Vec<Term<A>>) -> Term<A>) -> Term<A> {
    match (terms.pop(), terms.is_empty()) {
        (None, _) => Term::Always(empty),
        (Some(only), true) => only,
        (Some(last), false) => {
            terms.push(last);
            many(terms)
        }
    }
}

/// Writes a condition that needs no other table: on rows of `members`, for instance.
pub fn render_row(term: &Term<Condition>, backend: Backend) -> Fragment {
    render(term, backend, &|terms| {
        let terms = terms.iter().map(|term| render_row(term, backend));
        Fragment::text("(")
            .append(Fragment::join(terms, " OR "))
            .push(")")
    })
}

fn render(
    term: &Term<Condition>,
    backend: Backend,
    either: &dyn Fn(&[Term<Condition>]) -> Fragment,
) -> Fragment {
    match term {
        Term::Always(true) => Fragment::text("TRUE"),
        Term::Always(false) => Fragment::text("FALSE"),
        Term::And(terms) => {
            let terms = terms.iter().map(|term| render(term, backend, either));
            Fragment::text("(")
                .append(Fragment::join(terms, " AND "))
                .push(")")
        }
        Term::Or(terms) => either(terms),
        Term::Atom { atom, negated } => match atom {
            Condition::Column(column, test) => {
                let condition = test.sql(column.name, *negated, backend);
                if *negated && column.nullable && *test != Test::Present {
                    // The test of NULL is NULL, its opposite must be true.
                    return Fragment::text("(")
                        .push(column.name)
                        .push(" IS NULL OR ")
                        .append(condition)
                        .push(")");
                }
                condition
            }
            Condition::Set(select) => {
                let start = if *negated { "id NOT IN (" } else { "id IN (" };
                Fragment::text(start).append(select.clone()).push(")")
            }
        },
    }
}

impl Compiler<'_> {
    /// Writes a condition on `resources`.
    pub(super) fn render(&self, term: &Term<Condition>) -> Fragment {
        render(term, self.backend, &|terms| self.render_either(terms))
    }

    /// Alternatives that indexes answer become one set of ids: with `OR` between a column and a set the
    /// databases read the whole table. Where one alternative needs all resources read anyway, `OR` is best.
    fn render_either(&self, terms: &[Term<Condition>]) -> Fragment {
        if terms.iter().all(Term::is_narrow) {
            let selects = terms.iter().map(|term| self.select_ids(term));
            return Fragment::text("id IN (")
                .append(Fragment::join(selects, " UNION "))
                .push(")");
        }
        let terms = terms.iter().map(|term| self.render(term));
        Fragment::text("(")
            .append(Fragment::join(terms, " OR "))
            .push(")")
    }

    fn select_ids(&self, term: &Term<Condition>) -> Fragment {
        if let Term::Atom {
            atom: Condition::Set(select),
            negated: false,
        } = term
        {
            return select.clone();
        }
        Fragment::text("SELECT id FROM resources WHERE tenant_id = ")
            .bind(self.tenant())
            .push(" AND resource_type = ")
            .bind_text(&self.rt.name)
            .push(" AND ")
            .append(self.render(term))
    }
}
