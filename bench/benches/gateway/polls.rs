//! CPU time of the gateway's process for each poll, in the kernel too: writing, waking, reading, deciding what is next.

use std::time::Duration;

use bench::{Goal, line};

use crate::simulated::Simulated;
use crate::taps::{Running, folder, runtime};
use crate::{cpu, plant};

pub fn one_bus() {
    measure("gateway, CPU a poll, 1 bus of 32 readers", 1, 30.0);
}

pub fn nine_buses() {
    measure("gateway, CPU a poll, 9 buses, 288 readers", 9, 10.0);
}

fn measure(name: &str, lines: u8, limit_us: f64) {
    const TIME: Duration = Duration::from_secs(8);
    let folder = folder();
    let simulated = Simulated::start(folder.path(), lines);
    let (polls, spent) = runtime().block_on(async {
        let running = Running::start(folder.path(), lines).await;
        running.all_secure().await;
        let board = running.board();
        let polls = || board.borrow().readers.iter().map(|reader| reader.polls).sum::<u64>();
        // Counters are told once a second: both ends lag alike.
        let before = (polls(), cpu());
        tokio::time::sleep(TIME).await;
        let after = (polls(), cpu());
        running.stop().await;
        (after.0 - before.0, after.1 - before.1)
    });
    drop(simulated);
    println!("{}", line(name, spent as f64 / 1e3 / polls as f64, limit_us, "us", Goal::AtMost(1.0)));
    let rate = polls as f64 / TIME.as_secs_f64();
    let each = rate / f64::from(lines) / f64::from(plant::READERS);
    println!("{}", line("  polls a second, of all and of each reader", rate, each, "/s", Goal::Shown));
}
