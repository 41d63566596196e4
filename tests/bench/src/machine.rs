//! On what it ran: times of different machines are not to be compared.

use std::{fmt, fs, thread};

use serde::Serialize;

/// What a reader must know of the machine.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Model of the processor.
    pub cpu: String,
    /// How many threads it runs at once.
    pub cores: usize,
    /// Version of the kernel.
    pub kernel: String,
    /// How many others wanted to run, averaged over the last minute.
    pub load: String,
}

impl Machine {
    /// This one, as Linux tells; what it does not tell is `unknown`.
    pub fn this() -> Self {
        let cpus = read("/proc/cpuinfo");
        let model = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name"));
        let model = model.and_then(|line| line.split_once(": "));
        let load = read("/proc/loadavg");
        Self {
            cpu: model.map_or("unknown", |(_, model)| model).to_owned(),
            cores: thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: load.split(' ').next().unwrap_or("unknown").to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cpu,
            cores,
            kernel,
            load,
        } = self;
        write!(f, "{cpu}, {cores} cores, Linux {kernel}, load {load}")
    }
}

/// What a process has in memory, in MiB.
pub fn resident_mib(pid: u32) -> Option<u64> {
    let status = read(&format!("/proc/{pid}/status"));
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib >> 10)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|_| "unknown".to_owned())
}
