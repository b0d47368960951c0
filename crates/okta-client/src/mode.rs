/// Whether an org is a real one or a simulator on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A real org. Only HTTPS is used.
    Live,
    /// A simulator of Okta on a loopback address, for tests. Plain HTTP is accepted, proxies are
    /// ignored, and every wait takes a thousandth of its time.
    Simulated,
}
