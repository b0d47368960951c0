//! Okta's rate limits: what its headers say, and how long to wait for it.

use std::time::Duration;

use jiff::Timestamp;

/// The three numbers that stand on each answer, and the answer's own time, which is what the reset is compared with: the
/// clocks of Okta and of this machine may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    pub limit: Option<i64>,
    pub remaining: Option<i64>,
    /// Seconds since the epoch.
    pub reset_s: Option<i64>,
    pub date: Option<Timestamp>,
}

impl Limits {
    /// Reads the headers through `header`, which answers a header's text by its name in small letters.
    pub fn read<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Self {
        let number = |name| header(name).and_then(|text| text.trim().parse().ok());
        Self {
            limit: number("x-rate-limit-limit"),
            remaining: number("x-rate-limit-remaining"),
            reset_s: number("x-rate-limit-reset"),
            date: header("date").and_then(http_date),
        }
    }

    /// How long to wait after a 429, without jitter: until the window ends and a second more. Where Okta's limit on
    /// parallel requests was hit, the first two numbers are 0 and the reset is only a suggestion; without any number
    /// the wait doubles with each attempt.
    pub fn wait(self, attempt: u32, now: Timestamp) -> Duration {
        let doubling = Duration::from_secs(1_u64 << attempt.min(6));
        let now_s = self.date.unwrap_or(now).as_second();
        match (self.limit, self.reset_s) {
            (Some(0), _) | (_, None) => doubling,
            (_, Some(reset_s)) => {
                let left = reset_s.saturating_sub(now_s).max(0).saturating_add(1);
                Duration::from_secs(u64::try_from(left).unwrap_or(1))
            }
        }
    }

    /// Whether less than a tenth of the window is left, so that the next request should come a little later.
    pub fn is_scarce(self) -> bool {
        match (self.limit, self.remaining) {
            (Some(limit), Some(remaining)) if limit > 0 => remaining.saturating_mul(10) < limit,
            _ => false,
        }
    }
}

/// `Tue, 24 Nov 2026 20:01:08 GMT` (RFC 9110 section 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text)
        .ok()
        .map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(limit: &str, remaining: &str, reset: &str, date: &str) -> Limits {
        let given = [
            ("x-rate-limit-limit", limit),
            ("x-rate-limit-remaining", remaining),
            ("x-rate-limit-reset", reset),
            ("date", date),
        ];
        Limits::read(|name| {
            given
                .iter()
                .find(|(known, text)| *known == name && !text.is_empty())
                .map(|(_, text)| *text)
        })
    }

    #[test]
    fn waits() {
        let now = Timestamp::from_second(1_795_550_400).unwrap();
        let check = |limits: Limits, attempt, expected_s| {
            assert_eq!(
                limits.wait(attempt, now).as_secs(),
                expected_s,
                "{limits:?}"
            );
        };
        check(limits("100", "0", "1795550430", ""), 0, 31);
        // Okta's clock is what counts.
        check(
            limits("100", "0", "1795550430", "Tue, 24 Nov 2026 20:00:20 GMT"),
            0,
            11,
        );
        check(limits("100", "0", "1795550000", ""), 0, 1);
        check(limits("0", "0", "1795550430", ""), 0, 1);
        check(limits("", "", "", ""), 0, 1);
        check(limits("", "", "", ""), 1, 2);
        check(limits("x", "y", "z", "soon"), 2, 4);
    }

    #[test]
    fn scarce() {
        assert!(limits("100", "9", "", "").is_scarce());
        assert!(!limits("100", "10", "", "").is_scarce());
        assert!(!limits("0", "0", "", "").is_scarce());
        assert!(!limits("", "", "", "").is_scarce());
    }
}
