//! Oracles that several targets share: how much memory and processor time a call took.

use std::alloc::System;

use rustix::time::{ClockId, clock_gettime};
use stats_alloc::{Region, StatsAlloc};

/// Times that a call is repeated when it took too long: a virtual processor may be taken away in the midst of one and
/// still be counted, but not each time.
const AGAIN: usize = 4;

/// Calls, and fails if that took more than so many bytes from the allocator (growth of buffers included, whether given
/// back or not) or more than so many microseconds of this thread's processor time.
pub fn within<T>(memory: &StatsAlloc<System>, bytes: usize, micros: u64, mut call: impl FnMut() -> T) -> T {
    let mut once = || {
        let region = Region::new(memory);
        let start = clock_gettime(ClockId::ThreadCPUTime);
        let value = call();
        let end = clock_gettime(ClockId::ThreadCPUTime);
        let nanos = (end.tv_sec - start.tv_sec) * 1_000_000_000 + (end.tv_nsec - start.tv_nsec);
        (value, region.change().bytes_allocated, u64::try_from(nanos / 1_000).unwrap_or(0))
    };
    let (value, taken, mut spent) = once();
    assert!(taken <= bytes, "{taken} bytes taken, {bytes} allowed");
    for _ in 0..AGAIN {
        if spent <= micros {
            break;
        }
        spent = once().2;
    }
    assert!(spent <= micros, "{spent} us taken, {micros} allowed");
    value
}
