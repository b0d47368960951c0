//! The number of cases of a property test.

use proptest::test_runner::Config;

/// Multiplies the default of proptest, 256, which `PROPTEST_CASES` overrides: mutation tests run
/// every test thousands of times and need few cases.
pub(crate) fn default_times(factor: u32) -> Config {
    let default = Config::default();
    Config::with_cases(default.cases.saturating_mul(factor))
}
