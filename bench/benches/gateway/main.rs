//! The gateway on real pseudo-terminals, against simulated readers in a process of their own.
//!
//! - [`taps`]: from a card at a reader to the panel's event, and to the durable journal entry; what a dead reader costs;
//! - [`polls`]: CPU a poll, one bus and nine;
//! - [`million`]: memory and time to the first decision with a million passes.
//!
//! Nothing here paces the line: a pseudo-terminal carries bytes at once, so what is measured is ours, and the waking of
//! two processes for each exchange.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop")]

mod million;
mod plant;
mod polls;
mod simulated;
mod taps;

use bench::heading;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(simulated::ROLE) => return simulated::play(&arguments[1..]),
        Some(million::ROLE) => return million::decide_once(&arguments[1..]),
        _ => {}
    }
    println!("{}", heading("gateway, simulated readers on pseudo-terminals in another process"));
    taps::panel();
    taps::gateway();
    polls::one_bus();
    polls::nine_buses();
    million::measure();
}

/// The machine's monotonic time in nanoseconds: the same in every process.
fn monotonic() -> u64 {
    nanoseconds(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic))
}

/// CPU time of this process in nanoseconds, in the kernel too.
fn cpu() -> u64 {
    nanoseconds(rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime))
}

fn nanoseconds(time: rustix::time::Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap()
}
