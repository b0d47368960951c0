//! Conditions on one row that are true or false, never NULL.

use crate::store::engine::fragment::Fragment;
use crate::store::query::predicate::column_test::ColumnTest;

/// Atoms under `and`, `or` and `not`, with `not` pushed down to the atoms.
#[derive(Debug, Clone, PartialEq)]
pub enum Term<A> {
    Always(bool),
    And(Vec<Term<A>>),
    Or(Vec<Term<A>>),
    Atom { atom: A, negated: bool },
}

/// A condition on a row of `resources`, unless stated otherwise.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The column has a value that passes the test.
    Column(TermColumn, ColumnTest),
    /// The resource is in a set of ids from other tables.
    Set(Set),
}

/// The resources to which other rows refer, in two forms.
#[derive(Debug, Clone, PartialEq)]
pub struct Set {
    /// All their ids, `SELECT id ..`: for finding them by the index.
    pub select: Fragment,
    /// The rows for the current `resources.id`: for checking each resource when all are read
    /// anyway. `IN` and `NOT IN` would be quadratic there if PostgreSQL considers the set too large
    /// for its memory.
    pub probe: Fragment,
    worth: Worth,
}

impl Set {
    /// Creates the set from a select, in which the column `key` is the id.
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

    /// About how many comparisons each row costs. The select has a parameter for the tenant, and
    /// two for each comparison: the path and the value.
    fn tests(&self) -> u64 {
        let parameters = u64::try_from(self.select.bind_count()).unwrap_or(u64::MAX);
        (parameters.saturating_sub(1) / 2).max(1)
    }
}

/// The selectivity of an index, estimated from the form of the condition. Of several conditions the
/// most selective one uses its index; the others are checked for the rows that it finds. SQLite
/// follows this order, PostgreSQL decides by statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// Every value.
    All,
    /// Values that have to be read to be tested.
    Some,
    Range,
    /// One value, which many resources may share.
    Equal,
    /// One value of an attribute that identifies a resource.
    Single,
}

impl Worth {
    pub fn of(test: Option<&ColumnTest>) -> Self {
        match test {
            None => Self::All,
            Some(test) if test.is_equality() => Self::Equal,
            Some(test) if test.is_range() => Self::Range,
            Some(_) => Self::Some,
        }
    }
}

/// A column and its properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TermColumn {
    pub name: &'static str,
    pub nullable: bool,
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
    pub fn passes(self, test: ColumnTest) -> Term<Condition> {
        if test == ColumnTest::Present && !self.nullable {
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

    /// The same condition without constants inside, and without an `and` in an `and` or an `or` in
    /// an `or`.
    #[must_use]
    pub fn simplified(self) -> Self {
        match self {
            Self::And(terms) => {
                let mut parts = Vec::new();
                for term in terms {
                    match term.simplified() {
                        Self::Always(true) => {}
                        Self::Always(false) => return Self::Always(false),
                        Self::And(inner) => parts.extend(inner),
                        other => parts.push(other),
                    }
                }
                single(parts, true, Self::And)
            }
            Self::Or(terms) => {
                let mut parts = Vec::new();
                for term in terms {
                    match term.simplified() {
                        Self::Always(false) => {}
                        Self::Always(true) => return Self::Always(true),
                        Self::Or(inner) => parts.extend(inner),
                        other => parts.push(other),
                    }
                }
                single(parts, false, Self::Or)
            }
            other => other,
        }
    }
}

impl Term<Condition> {
    /// The selectivity of the indexes; `None` if all resources of the type have to be read.
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
                // For a value that most resources have, reading resources in order finds the first
                // page sooner.
                Condition::Set(set) => (set.worth > Worth::All).then_some(set.worth),
            },
        }
    }
}

impl Term<Condition> {
    /// How many comparisons each resource may cost; 0 if an index finds equal values. Other values
    /// of an index have to be read: all for `co`, and any number for `gt`.
    pub fn tests(&self) -> u64 {
        match self {
            // Each alternative is searched by itself.
            Self::Or(terms) if self.worth().is_some() => terms.iter().map(Self::tests).sum(),
            _ if self.worth() >= Some(Worth::Equal) => 0,
            _ => self.all_tests(),
        }
    }

    fn all_tests(&self) -> u64 {
        match self {
            Self::Always(_) => 0,
            Self::And(terms) | Self::Or(terms) => terms.iter().map(Self::all_tests).sum(),
            Self::Atom { atom, .. } => match atom {
                Condition::Column(..) => 1,
                Condition::Set(set) => set.tests(),
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
