//! HL7 over MLLP: our line and our listener against peers that keep to nothing, and against implementations that are not
//! ours.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod certificates;
mod clinic_of;
mod killed;
mod liars;
mod line;
mod listener;
mod peers;
mod sender;

use std::time::Duration;

use chrono_tz::Tz;
use domain::UtcMillis;

pub(crate) const NOW: UtcMillis = UtcMillis(1_795_248_000_000);
pub(crate) const ZONE: Tz = chrono_tz::Europe::Moscow;
/// Longer than anything takes on a busy machine; reached only by a failing test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An acknowledgement of a peer.
pub(crate) fn answer(code: &str, control: &str) -> Vec<u8> {
    framed(&format!("MSH|^~\\&|MIS|C|TAPWARD|C|20260105090012||ACK|X|P|2.5.1\rMSA|{code}|{control}\r"))
}

pub(crate) fn framed(text: &str) -> Vec<u8> {
    wire::hl7::mllp::frame(text.as_bytes())
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waited).await.is_ok(), "not in time: {what}");
}
