//! A million passes: resident memory, and the time from the start of a process to its first decision.

use std::path::Path;
use std::process::Command;

use bench::{Goal, line, resident_mb, resident_peak_mb};
use domain::decide::{Request, decide};
use domain::presence::Presence;
use domain::{CardId, Direction};
use wire::snapshot::SnapshotWriter;

use crate::taps::{Running, folder, runtime};
use crate::{cpu, monotonic, plant};

pub const ROLE: &str = "million-passes";
const PASSES: u32 = 1_000_000;

/// Steele, Lea and Flood 2014 (SplitMix64).
const fn mix(i: u64) -> u64 {
    let mut z = i.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn card(number: u32) -> CardId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&mix(u64::from(number)).to_le_bytes());
    id[8..].copy_from_slice(&mix(!u64::from(number)).to_le_bytes());
    CardId(id)
}

pub fn measure() {
    let folder = folder();
    write_policy(&folder.path().join("policy.bin"));
    let child = |role: &str| {
        let start = monotonic();
        let mut child = Command::new(std::env::current_exe().unwrap());
        let answer = child.args([ROLE, role]).arg(folder.path()).arg(start.to_string()).output().unwrap();
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        let figures: Vec<f64> =
            String::from_utf8(answer.stdout).unwrap().split_whitespace().map(|word| word.parse().unwrap()).collect();
        figures
    };
    let [seconds, resident, busy, peak] = child("decide")[..] else { unreachable!("four figures") };
    println!("{}", line("10^6 passes, process start to first decision", seconds, 2.0, "s", Goal::AtMost(1.0)));
    println!("{}", line("  of it, CPU time", busy, 2.0, "s", Goal::Shown));
    println!("{}", line("10^6 passes, resident memory", resident, 200.0, "MB", Goal::AtMost(1.0)));
    println!("{}", line("  at its peak, while reading the file", peak, 200.0, "MB", Goal::Shown));
    let [seconds, resident, busy, peak] = child("gateway")[..] else { unreachable!("four figures") };
    println!("{}", line("10^6 passes, a whole gateway started", seconds, 2.0, "s", Goal::AtMost(1.0)));
    println!("{}", line("  of it, CPU time", busy, 2.0, "s", Goal::Shown));
    println!("{}", line("10^6 passes, its resident memory", resident, 200.0, "MB", Goal::AtMost(1.0)));
    println!("{}", line("  at its peak", peak, 200.0, "MB", Goal::Shown));
}

fn write_policy(path: &Path) {
    let mut writer = SnapshotWriter::new(&plant::policy(9).layout, PASSES as usize).unwrap();
    for number in 0..PASSES {
        let mut credential = plant::credential(card(number), number);
        credential.valid_from = Some(domain::UtcMillis(0));
        credential.valid_until = Some(domain::UtcMillis(i64::MAX / 2));
        writer.push(&credential).unwrap();
    }
    gateway::snapshot::keep(path, &writer.finish()).unwrap();
}

/// The child's whole life: prints seconds since it was started, megabytes, seconds of CPU time, megabytes at the peak.
pub fn decide_once(arguments: &[String]) {
    let folder = Path::new(&arguments[1]);
    let started: u64 = arguments[2].parse().unwrap();
    let seconds = || (monotonic() - started) as f64 / 1e9;
    let (seconds, resident, busy) = if arguments[0] == "decide" {
        let policy = gateway::snapshot::load(&folder.join("policy.bin")).unwrap().unwrap();
        let presence = Presence::new(&policy);
        let point = policy.layout().points[0].id.clone();
        let request = Request::new(&point, Direction::In, card(PASSES / 2), plant::clock().now());
        assert!(decide(&policy, &presence, &request).granted());
        (seconds(), resident_mb(), cpu() as f64 / 1e9)
    } else {
        runtime().block_on(async {
            // Nine lines whose ports are not there.
            let running = Running::start(folder, 9).await;
            let mut board = running.board();
            board.wait_for(|board| board.policy_version.is_some()).await.unwrap();
            let figures = (seconds(), resident_mb(), cpu() as f64 / 1e9);
            running.stop().await;
            figures
        })
    };
    println!("{seconds} {resident} {busy} {}", resident_peak_mb());
}
