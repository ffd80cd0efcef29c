//! Oracles that several targets share: how much memory and processor time a call took.

use std::alloc::System;

use rustix::time::{ClockId, clock_gettime};
use stats_alloc::{Region, StatsAlloc};

/// What a call cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Bytes that it took from the allocator and did not give back.
    pub kept: usize,
    /// Bytes that it took from the allocator altogether, growth of buffers included.
    pub taken: usize,
    /// Processor time of this thread, in microseconds: waiting for the processor does not count.
    pub micros: u64,
}

impl Cost {
    /// Fails if the call took more than so many bytes or so much time.
    pub fn within(self, bytes: usize, micros: u64) {
        assert!(self.taken <= bytes, "{} bytes taken, {bytes} allowed", self.taken);
        assert!(self.micros <= micros, "{} us taken, {micros} allowed", self.micros);
    }
}

/// Calls, and says what it cost.
pub fn measured<T>(memory: &StatsAlloc<System>, call: impl FnOnce() -> T) -> (T, Cost) {
    let region = Region::new(memory);
    let start = clock_gettime(ClockId::ThreadCPUTime);
    let value = call();
    let end = clock_gettime(ClockId::ThreadCPUTime);
    let change = region.change();
    let nanos = (end.tv_sec - start.tv_sec) * 1_000_000_000 + (end.tv_nsec - start.tv_nsec);
    let micros = u64::try_from(nanos / 1_000).unwrap_or(0);
    (
        value,
        Cost {
            kept: change.bytes_allocated.saturating_sub(change.bytes_deallocated),
            taken: change.bytes_allocated,
            micros,
        },
    )
}
