//! Conditions on one row that are true or false, never NULL, and how they are written.

use crate::store::Backend;
use crate::store::query::predicate::Compiler;
use crate::store::query::predicate::fragment::{Fragment, Test};

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
    Column(TermColumn, Test),
    /// Rows of other tables, or of a search through them, are about the resource.
    Set(Set),
}

/// Resources that other rows point at, asked for in two ways.
#[derive(Debug, Clone, PartialEq)]
pub struct Set {
    /// All their ids: `SELECT id ..`, for where it is the index that finds them.
    select: Fragment,
    /// Rows for the one at hand, `resources.id`: for where all resources are read anyway. `IN` and `NOT IN` would
    /// be quadratic there when PostgreSQL deems the set too large for its memory.
    probe: Fragment,
    worth: Worth,
}

impl Set {
    /// The rows of the select, whose column `key` is the id.
    pub fn new(select: Fragment, key: &'static str, worth: Worth) -> Self {
        let probe = select
            .clone()
            .push(" AND ")
            .push(key)
            .push(" = resources.id");
        Self {
            select,
            probe,
            worth,
        }
    }
}

/// How well an index narrows the search, by the look of the condition. Of several conditions the best leads; the
/// others are looked at for what it finds. SQLite takes our word for it, PostgreSQL counts for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// Every value.
    All,
    /// Values that have to be read to be tested.
    Some,
    Range,
    /// One value, which many may share.
    Equal,
    /// One value of an attribute that tells people apart.
    Single,
}

impl Worth {
    pub fn of(test: Option<&Test>) -> Self {
        match test {
            None => Self::All,
            Some(test) if test.is_equality() => Self::Equal,
            Some(test) if test.is_range() => Self::Range,
            Some(_) => Self::Some,
        }
    }
}

/// A column and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TermColumn {
    pub name: &'static str,
    nullable: bool,
    indexed: bool,
}

impl TermColumn {
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

    pub fn is_indexed(self) -> bool {
        self.indexed
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
    /// How well indexes find the rows; `None` where all resources of the type have to be read.
    pub fn worth(&self) -> Option<Worth> {
        match self {
            Self::Always(true) | Self::Atom { negated: true, .. } => None,
            Self::Always(false) => Some(Worth::Single),
            Self::And(terms) => terms.iter().filter_map(Self::worth).max(),
            Self::Or(terms) => {
                let worths: Option<Vec<Worth>> = terms.iter().map(Self::worth).collect();
                worths?.into_iter().min()
            }
            Self::Atom { atom, .. } => match atom {
                Condition::Column(column, test) if column.indexed && test.is_equality() => {
                    Some(Worth::Single)
                }
                Condition::Column(column, test) => {
                    (column.indexed && test.is_range()).then_some(Worth::Range)
                }
                // Of a value that most have, the first page is there sooner when resources are read in order.
                Condition::Set(set) => (set.worth > Worth::All).then_some(set.worth),
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
                if negated && column.nullable && *test != Test::Present {
                    // The test of NULL is NULL, its opposite must be true.
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
    /// What indexes find leads, the rest is looked at for each resource found. Alternatives that indexes find
    /// become one set of ids: with `OR` between a column and a set the databases would read the whole table.
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

    /// Writes a condition that is looked at for each resource.
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
