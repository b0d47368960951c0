//! Decides whether a filter that finds no element describes one that can be created.

use std::sync::Arc;

use scim_filter_parser as syntax;
use serde_json::{Map, Value};

use super::parts::parts;
use crate::coerce;
use crate::coerce::{Location, NamedValue};
use crate::document::arrange_complex;
use crate::equality::Comparable;
use crate::filter::literal;
use crate::patch::edit::{OnMiss, SubEdit, ValueEdit};
use crate::patch::operation::Op;
use crate::schema::{Attribute, Mutability};

/// A filter on the elements of a list, with the meaning that it has if it finds none.
pub(super) struct FilterTarget<'a> {
    pub list: &'a Attribute,
    pub syntax: &'a syntax::Filter,
    pub at: Location<'a>,
}

impl FilterTarget<'_> {
    /// Decides what a filter that finds nothing means: Entra expects `emails[type eq "work"].value`
    /// to create the element `{"type": "work", "value": ..}`. A filter that the new element would
    /// not satisfy cannot mean that.
    pub fn on_miss(&self, parts: &[SubEdit]) -> OnMiss {
        let Some(mut terms) = self.eq_terms(self.syntax) else {
            return OnMiss::Refuse;
        };
        for (sub, change) in parts {
            let Some(value) = change.value() else {
                continue;
            };
            let term = terms.iter_mut().find(|(term, _)| term.name == sub.name);
            match (term, value) {
                (Some((_, Some(Value::Array(term)))), Value::Array(new)) => {
                    let adds = matches!(change, ValueEdit::Append(_));
                    if adds {
                        coerce::extend(sub, term, &new);
                    } else if Comparable::of(sub, &Value::Array(new.clone()))
                        .holds(&Comparable::of(sub, &Value::Array(term.clone())))
                    {
                        *term = new;
                    } else {
                        return OnMiss::Refuse;
                    }
                }
                (Some((_, Some(term))), value)
                    if Comparable::of(sub, term) == Comparable::of(sub, &value) =>
                {
                    *term = value;
                }
                (Some(_), _) => return OnMiss::Refuse,
                (None, value) => terms.push((Arc::clone(sub), Some(value))),
            }
        }
        let mut members: Map<String, Value> = terms
            .into_iter()
            .filter_map(|(sub, value)| Some((sub.name.clone(), value?)))
            .collect();
        arrange_complex(self.list, &mut members);
        OnMiss::Create(Value::Object(members))
    }

    /// The same for a whole element.
    pub fn on_missing_value(&self, value: &Value) -> OnMiss {
        if let Value::Object(members) = value {
            let named = |sub: &Arc<Attribute>| {
                let value = members.get(&sub.name)?;
                Some((Arc::clone(sub), Some(value.clone())))
            };
            let named = self.list.sub_attributes.iter().filter_map(named).collect();
            return self.on_miss(&parts(Op::Replace, named));
        }
        // The only value that fits `rooms[value eq "r1"]` is this very one.
        let is_asked_for = match self.syntax {
            syntax::Filter::Compare(comparison)
                if comparison.op == syntax::CompareOp::Eq
                    && comparison.path.name.eq_ignore_ascii_case("value") =>
            {
                coerce::scalar(self.list, &literal(&comparison.value), &self.at)
                    .ok()
                    .flatten()
                    .is_some_and(|asked| {
                        Comparable::of(self.list, &asked) == Comparable::of(self.list, value)
                    })
            }
            _ => false,
        };
        if is_asked_for {
            OnMiss::Create(value.clone())
        } else {
            OnMiss::Refuse
        }
    }

    /// Returns the sub-attributes that a filter of `eq` terms joined by `and` fixes.
    fn eq_terms(&self, filter: &syntax::Filter) -> Option<Vec<NamedValue>> {
        match filter {
            syntax::Filter::Compare(comparison) if comparison.op == syntax::CompareOp::Eq => {
                let sub = self.list.sub_attribute(&comparison.path.name)?;
                if sub.mutability == Mutability::ReadOnly {
                    return None;
                }
                let mut value =
                    coerce::attribute(sub, &literal(&comparison.value), &self.at).ok()?;
                if let Some(value) = &mut value {
                    coerce::canonicalise(self.list, sub, value);
                }
                Some(vec![(Arc::clone(sub), value)])
            }
            syntax::Filter::And(terms) => {
                let mut all: Vec<NamedValue> = Vec::new();
                for term in terms {
                    for (sub, value) in self.eq_terms(term)? {
                        let known = all.iter_mut().find(|(other, _)| other.name == sub.name);
                        match (known, value) {
                            // One element may have both values of a list.
                            (Some((_, Some(Value::Array(list)))), Some(Value::Array(more))) => {
                                coerce::extend(&sub, list, &more);
                            }
                            (Some(_), _) => return None,
                            (None, value) => all.push((sub, value)),
                        }
                    }
                }
                Some(all)
            }
            _ => None,
        }
    }
}
