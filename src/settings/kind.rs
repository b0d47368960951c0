//! The kinds of values: how a text is parsed, and how the accepted texts are described.

use std::ops::RangeInclusive;
use std::time::Duration;

use secrecy::SecretString;

/// A kind of value.
pub struct Kind<T> {
    /// Names the value in `--help`, such as `SECONDS`.
    pub placeholder: String,
    /// The accepted values, in Markdown.
    pub values: String,
    pub origin: Origin,
    parse: Parser<T>,
}

type Parser<T> = Box<dyn Fn(&str) -> Result<T, String>>;

/// The sources that a setting may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A flag, the environment or the file.
    Anywhere,
    /// Only the environment: a flag would show a secret to every user of the machine.
    Environment,
}

impl<T: 'static> Kind<T> {
    /// Parses a text.
    ///
    /// # Errors
    /// Describes what was expected.
    pub fn parse(&self, text: &str) -> Result<T, String> {
        (self.parse)(text)
    }

    /// The same texts, for another type.
    pub fn map<U: 'static>(self, convert: impl Fn(T) -> U + 'static) -> Kind<U> {
        let parse = self.parse;
        Kind {
            placeholder: self.placeholder,
            values: self.values,
            origin: self.origin,
            parse: Box::new(move |text| parse(text).map(&convert)),
        }
    }

    /// The same values, for a setting that may be absent.
    pub fn optional(self) -> Kind<Option<T>> {
        self.map(Some)
    }

    /// Describes the accepted values in other words.
    pub fn described(mut self, values: &str) -> Self {
        values.clone_into(&mut self.values);
        self
    }
}

/// A value with a parser of its own.
pub fn parsed<T>(
    placeholder: &str,
    values: &str,
    parse: impl Fn(&str) -> Result<T, String> + 'static,
) -> Kind<T> {
    Kind {
        placeholder: placeholder.to_owned(),
        values: values.to_owned(),
        origin: Origin::Anywhere,
        parse: Box::new(parse),
    }
}

/// A whole number within a range.
pub fn number<T: TryFrom<u64> + 'static>(range: RangeInclusive<u64>) -> Kind<T> {
    whole("N", range)
}

/// A number of bytes.
pub fn bytes<T: TryFrom<u64> + 'static>(range: RangeInclusive<u64>) -> Kind<T> {
    whole("BYTES", range)
}

/// A number of seconds.
pub fn seconds(range: RangeInclusive<u64>) -> Kind<Duration> {
    whole("SECONDS", range).map(Duration::from_secs)
}

/// A number of milliseconds.
pub fn milliseconds(range: RangeInclusive<u64>) -> Kind<Duration> {
    whole("MILLISECONDS", range).map(Duration::from_millis)
}

/// A number of days.
pub fn days(range: RangeInclusive<u64>) -> Kind<Duration> {
    whole("DAYS", range).map(|days: u64| Duration::from_secs(days.saturating_mul(24 * 60 * 60)))
}

/// One of a few words.
pub fn choice<T: Copy + 'static>(options: &'static [(&'static str, T)]) -> Kind<T> {
    let words: Vec<&str> = options.iter().map(|(word, _)| *word).collect();
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    let expected = match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    };
    parsed(&words.join("|"), &quoted.join(", "), move |text| {
        options
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value)
            .ok_or_else(|| format!("{expected} was expected"))
    })
}

/// A secret, which only the environment can hold.
pub fn secret(
    values: &str,
    check: impl Fn(&str) -> Result<(), String> + 'static,
) -> Kind<SecretString> {
    Kind {
        origin: Origin::Environment,
        ..parsed("SECRET", values, move |text| {
            check(text)?;
            Ok(SecretString::from(text))
        })
    }
}

fn whole<T: TryFrom<u64> + 'static>(placeholder: &str, range: RangeInclusive<u64>) -> Kind<T> {
    let values = format!("{} to {}", range.start(), range.end());
    let expected = format!(
        "a whole number from {} to {} was expected",
        range.start(),
        range.end()
    );
    parsed(placeholder, &values, move |text| {
        text.parse()
            .ok()
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("{expected}, and not `{text}`"))
    })
}
