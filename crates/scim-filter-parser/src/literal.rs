//! The values on the right side of a comparison: JSON literals and, in the tolerant dialect, what
//! clients send instead.

use crate::Value;
use crate::lexer::{Parser, Result, printable, quote};

impl Parser<'_> {
    /// Reads the value that starts here. `op` is the operator before it, for the message.
    pub(crate) fn value(&mut self, op: &str) -> Result<Value> {
        match self.peek() {
            Some('"') => self.string('"').map(Value::String),
            Some('\'') if self.is_tolerant() => self.string('\'').map(Value::String),
            Some('\'') => Err(self.defect(
                self.position,
                "expected a string in double quotes, found a single quote",
            )),
            _ => self.word_value(op),
        }
    }

    fn word_value(&mut self, op: &str) -> Result<Value> {
        let word = self.bare_word();
        let is_keyword = ["and", "or", "not"]
            .iter()
            .any(|keyword| word.eq_ignore_ascii_case(keyword));
        if word.is_empty() || is_keyword {
            return Err(self.expected(&format!("a value after `{op}`")));
        }
        let value = match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            _ if is_json_number(word) => self.number(word)?,
            _ if !self.is_tolerant() => {
                return Err(self.defect(
                    self.position,
                    format!(
                        "expected a string in double quotes, a number, true, false or null after `{op}`, found `{}`",
                        quote(word)
                    ),
                ));
            }
            _ if word.eq_ignore_ascii_case("true") => Value::Bool(true),
            _ if word.eq_ignore_ascii_case("false") => Value::Bool(false),
            _ if word.eq_ignore_ascii_case("null") => Value::Null,
            _ => Value::String(word.to_owned()),
        };
        self.position += word.len();
        Ok(value)
    }

    /// An integer beyond 64 bits becomes a decimal, as JSON readers do.
    fn number(&self, word: &str) -> Result<Value> {
        if let Ok(integer) = word.parse::<i64>() {
            return Ok(Value::Integer(integer));
        }
        match word.parse::<f64>() {
            Ok(decimal) if decimal.is_finite() => Ok(Value::Decimal(decimal)),
            _ => Err(self.defect(
                self.position,
                format!("the number `{}` is too large", quote(word)),
            )),
        }
    }

    /// A string with the escapes of JSON (RFC 8259 section 7), from its opening to its closing
    /// quote.
    fn string(&mut self, quote: char) -> Result<String> {
        let opening = self.position;
        self.eat(quote);
        let mut string = String::new();
        loop {
            let plain = self.plain(quote);
            string.push_str(plain);
            self.position += plain.len();
            let at = self.position;
            let Some(c) = self.peek() else {
                return Err(self.defect(
                    opening,
                    format!("the string has no closing quote: expected `{quote}` at its end"),
                ));
            };
            self.position += c.len_utf8();
            match c {
                _ if c == quote => return Ok(string),
                '\\' => string.push(self.escape(at, quote)?),
                '\0'..='\x1f' => {
                    return Err(self.defect(
                        at,
                        format!(
                            "the control character U+{:04X} must be escaped in a string",
                            u32::from(c)
                        ),
                    ));
                }
                _ => string.push(c),
            }
        }
    }

    /// Returns the text before the next character with a meaning within a string.
    fn plain(&self, quote: char) -> &str {
        let rest = self.rest();
        let is_special = |byte: u8| byte < b' ' || byte == b'\\' || char::from(byte) == quote;
        let end = rest.bytes().position(is_special).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// Returns the character of the escape at `at`; its backslash has been read.
    fn escape(&mut self, at: usize, quote: char) -> Result<char> {
        let Some(c) = self.peek() else {
            return Err(self.defect(at, "expected an escaped character after `\\`"));
        };
        self.position += c.len_utf8();
        match c {
            '"' | '\\' | '/' => Ok(c),
            '\'' if quote == '\'' => Ok(c),
            'b' => Ok('\u{8}'),
            'f' => Ok('\u{c}'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'u' => self.unicode_escape(at),
            _ => Err(self.defect(at, format!("`\\{}` is not an escape of JSON", printable(c)))),
        }
    }

    /// `XXXX` after `\u`; a character outside the basic plane is written as two of them.
    fn unicode_escape(&mut self, at: usize) -> Result<char> {
        let first = self.four_hex_digits(at)?;
        let code = match first {
            0xD800..=0xDBFF => {
                let second_at = self.position;
                let second = if self.eat('\\') && self.eat('u') {
                    self.four_hex_digits(second_at)?
                } else {
                    0
                };
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(self.defect(
                        at,
                        "a high surrogate must be followed by a low one, `\\uDC00` to `\\uDFFF`",
                    ));
                }
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            code => code,
        };
        // Only a low surrogate on its own is left out.
        char::from_u32(code).ok_or_else(|| {
            self.defect(
                at,
                "a low surrogate must follow a high one, `\\uD800` to `\\uDBFF`",
            )
        })
    }

    fn four_hex_digits(&mut self, at: usize) -> Result<u32> {
        let code = self
            .rest()
            .get(..4)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        match code {
            Some(code) => {
                self.position += 4;
                Ok(code)
            }
            None => Err(self.defect(at, "expected four hexadecimal digits after `\\u`")),
        }
    }
}

/// `-? int frac? exp?` of RFC 8259 section 6; Rust's own `parse` takes more (`+1`, `.5`, `inf`).
fn is_json_number(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let (integer, fraction) = match mantissa.split_once('.') {
        Some((integer, fraction)) => (integer, Some(fraction)),
        None => (mantissa, None),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_digits(integer)
        && (integer == "0" || !integer.starts_with('0'))
        && fraction.is_none_or(is_digits)
        && exponent
            .map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
            .is_none_or(is_digits)
}
