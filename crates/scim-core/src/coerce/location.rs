//! The location of a value within a request.

use std::fmt;

/// The location of a value in the request, as error details name it: `emails[1].value`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Location<'a> {
    parent: Option<&'a Location<'a>>,
    step: Segment<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Segment<'a> {
    Name(&'a str),
    Index(usize),
}

impl<'a> Location<'a> {
    pub(crate) fn root(name: &'a str) -> Self {
        Self {
            parent: None,
            step: Segment::Name(name),
        }
    }

    pub(crate) fn name(&'a self, name: &'a str) -> Self {
        Self {
            parent: Some(self),
            step: Segment::Name(name),
        }
    }

    pub(crate) fn index(&'a self, index: usize) -> Self {
        Self {
            parent: Some(self),
            step: Segment::Index(index),
        }
    }
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match (self.step, self.parent.map(|parent| parent.step)) {
            (Segment::Index(index), _) => write!(f, "[{index}]"),
            (Segment::Name(name), None) => f.write_str(name),
            // An extension's container and its attribute.
            (Segment::Name(name), Some(Segment::Name(parent))) if parent.contains(':') => {
                write!(f, ":{name}")
            }
            (Segment::Name(name), Some(_)) => write!(f, ".{name}"),
        }
    }
}
