//! One declared setting, and its default.

use crate::settings::kind::{Kind, Origin};

/// One declared setting.
pub struct Setting {
    /// The key in the file.
    pub key: &'static str,
    /// The heading of its table in the reference.
    pub heading: &'static str,
    /// Its doc comment, which is Markdown.
    pub description: String,
    /// Names the value in `--help`.
    pub placeholder: String,
    /// The accepted values, in Markdown.
    pub values: String,
    pub default: ShownDefault,
    /// A value for the example file: the default, where it is a text.
    pub example: String,
    pub origin: Origin,
    check: Check,
}

type Check = Box<dyn Fn(&str) -> Result<(), String>>;

/// The default as the documentation shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShownDefault {
    /// A value that the setting accepts.
    Text(String),
    /// A description, such as "one per core".
    Description(&'static str),
    /// The setting must be set if its group is used.
    Required,
}

/// The value of a setting that no source has.
pub enum Fallback<T> {
    Text(String),
    Value {
        /// Describes the value in the documentation.
        shown: &'static str,
        /// A value for the example file.
        example: &'static str,
        value: T,
    },
    Required {
        example: &'static str,
    },
}

/// No value. `shown` says in the documentation what happens then.
pub fn absent<T>(shown: &'static str, example: &'static str) -> Fallback<Option<T>> {
    computed(shown, example, None)
}

/// A value that depends on the machine.
pub fn computed<T>(shown: &'static str, example: &'static str, value: T) -> Fallback<T> {
    Fallback::Value {
        shown,
        example,
        value,
    }
}

/// A setting of an optional group, which must be set if the group is used.
pub fn required<T>(example: &'static str) -> Fallback<T> {
    Fallback::Required { example }
}

impl<T> From<u64> for Fallback<T> {
    fn from(number: u64) -> Self {
        Self::Text(number.to_string())
    }
}

impl<T> From<&str> for Fallback<T> {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Setting {
    pub(crate) fn new<T: 'static>(
        key: &'static str,
        description: &[&str],
        kind: Kind<T>,
        fallback: Fallback<T>,
    ) -> Self {
        let (default, example) = match fallback {
            Fallback::Text(text) => (ShownDefault::Text(text.clone()), text),
            Fallback::Value { shown, example, .. } => {
                (ShownDefault::Description(shown), example.to_owned())
            }
            Fallback::Required { example } => (ShownDefault::Required, example.to_owned()),
        };
        Self {
            key,
            heading: "",
            description: description.concat().trim().to_owned(),
            placeholder: kind.placeholder.clone(),
            values: kind.values.clone(),
            default,
            example,
            origin: kind.origin,
            check: Box::new(move |text| kind.parse(text).map(drop)),
        }
    }

    /// Whether the setting accepts a text.
    ///
    /// # Errors
    /// Describes what was expected.
    pub fn check(&self, text: &str) -> Result<(), String> {
        (self.check)(text)
    }

    /// The flag, without its dashes.
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// The environment variable.
    pub fn variable(&self) -> String {
        format!("ROLLCALL_{}", self.key.to_ascii_uppercase())
    }

    /// The description for a terminal.
    pub fn plain_description(&self) -> String {
        plain_text(&self.description)
    }

    /// The help text of the flag.
    pub fn help(&self) -> String {
        let description = self.plain_description();
        match &self.default {
            ShownDefault::Text(text) => format!("{description} [default: {text}]"),
            ShownDefault::Description("none") | ShownDefault::Required => description,
            ShownDefault::Description(shown) => format!("{description} [default: {shown}]"),
        }
    }
}

/// Markdown for a terminal. A link becomes its text and the page, without the section.
pub fn plain_text(markdown: &str) -> String {
    let mut plain = String::new();
    let mut rest = markdown;
    while let Some((before, text, target, after)) = first_link(rest) {
        let page = target.split_once('#').map_or(target, |(page, _)| page);
        plain.extend([before, text, " (docs/", page, ")"]);
        rest = after;
    }
    plain + rest
}

/// The text before the first link, its text and target, and the text after it.
fn first_link(markdown: &str) -> Option<(&str, &str, &str, &str)> {
    let (before, link) = markdown.split_once('[')?;
    let (text, link) = link.split_once("](")?;
    let (target, after) = link.split_once(')')?;
    Some((before, text, target, after))
}
