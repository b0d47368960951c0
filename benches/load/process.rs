//! Statistics of the kernel about a process and the machine.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// The memory of a process in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    pub resident: u64,
    /// The peak since the start, or since [`reset_peak`].
    pub peak: u64,
}

pub fn memory(process: u32) -> anyhow::Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let bytes = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim()
            .strip_suffix(" kB")?
            .parse::<u64>()
            .ok()
            .map(|kilo| kilo * 1024)
    };
    Ok(Memory {
        resident: bytes("VmRSS:").context("no memory")?,
        peak: bytes("VmHWM:").context("no peak")?,
    })
}

/// Resets the peak to the current value.
pub fn reset_peak(process: u32) -> anyhow::Result<Memory> {
    std::fs::write(format!("/proc/{process}/clear_refs"), "5")?;
    memory(process)
}

/// Measures how many small writes per second the disk confirms, which limits durable commits. The
/// rate of a shared disk varies from minute to minute.
pub fn flushes() -> anyhow::Result<f64> {
    let mut file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR"))?;
    let started = Instant::now();
    let mut done: u32 = 0;
    while started.elapsed() < Duration::from_millis(300) {
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        done += 1;
    }
    Ok(f64::from(done) / started.elapsed().as_secs_f64())
}

/// Describes the processors and the memory.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| -> String {
        let value = text.lines().find(|line| line.starts_with(name));
        let value = value
            .and_then(|line| line.split_once(':'))
            .map_or("", |(_, value)| value.trim());
        value.to_owned()
    };
    let processors = read("/proc/cpuinfo");
    let count = processors
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let model = field(&processors, "model name");
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kilo: u64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
    let system = field(&read("/etc/os-release").replace('=', ":"), "PRETTY_NAME");
    format!(
        "{count} x {model}, {} GB, {}",
        kilo / 1_000_000,
        system.trim_matches('"')
    )
}
