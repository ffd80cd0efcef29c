//! The numbers of the two durable streams: what may be sent, what may come, when to acknowledge. Owns four counters a
//! direction, and no message. May import the codes.

use std::time::Duration;

use super::super::code::{Code, Refusal};

/// An acknowledgement goes out at latest so long after a commit. The specification allows 200 ms; the rest is for
/// timers and the way.
pub const ACK_TIME: Duration = Duration::from_millis(100);
/// ... or after so many commits, and never later than at half the window.
pub const ACK_COUNT: u64 = 32;

/// Our stream.
#[derive(Debug)]
pub struct Outgoing {
    /// The next number to send.
    next: u64,
    /// The peer durably holds everything up to here.
    acked: u64,
    /// The highest number that was in our journal when the connection began: up to here it is a replay.
    old: u64,
    window: u64,
}

impl Outgoing {
    /// Goes on behind what the peer `holds`.
    pub fn new(holds: u64, last: u64, window: u16) -> Self {
        Self { next: holds + 1, acked: holds, old: last, window: u64::from(window) }
    }

    /// The next number, if the window has room.
    pub fn wants(&self) -> Option<u64> {
        (self.next - 1 - self.acked < self.window).then_some(self.next)
    }

    /// Whether the next number was there before this connection.
    pub fn is_replay(&self) -> bool {
        self.next <= self.old
    }

    pub fn sent(&mut self) {
        self.next += 1;
    }

    /// The peer holds everything up to `seq`: true if that is news. What it holds and we have not sent in this
    /// connection, but had before it, need not be sent again.
    pub fn acked(&mut self, seq: u64) -> Result<bool, Refusal> {
        let highest = self.old.max(self.next - 1);
        if seq > highest {
            return Err(ahead(seq, highest));
        }
        let news = seq > self.acked;
        if news {
            self.acked = seq;
            self.next = self.next.max(seq + 1);
        }
        Ok(news)
    }
}

/// The peer claims what was never sent: a backup was restored on our side.
pub fn ahead(seq: u64, highest: u64) -> Refusal {
    Refusal::new(Code::SeqAhead, format!("{seq} acknowledged, and the highest sent is {highest}"))
}

/// The peer's stream.
#[derive(Debug)]
pub struct Incoming {
    /// Handed to the owner.
    received: u64,
    /// Stored by the owner.
    committed: u64,
    /// Told to the peer.
    told: u64,
    window: u64,
    /// Commits wait since then to be told; or something must be told now.
    since: Option<Duration>,
    now: bool,
}

impl Incoming {
    pub fn new(held: u64, window: u16) -> Self {
        Self { received: held, committed: held, told: held, window: u64::from(window), since: None, now: false }
    }

    /// Whether a message with this number is the next one; false for a repetition, which is only acknowledged again.
    pub fn take(&mut self, seq: u64) -> Result<bool, Refusal> {
        if seq <= self.received {
            self.now = true;
            return Ok(false);
        }
        let expected = self.received + 1;
        if seq > expected {
            return Err(Refusal::new(Code::SeqGap, format!("expected {expected}")));
        }
        if seq - self.told > self.window {
            let window = self.window;
            let text = format!("{seq} came while {} was acknowledged; the window is {window}", self.told);
            return Err(Refusal::new(Code::WindowExceeded, text));
        }
        self.received = seq;
        Ok(true)
    }

    /// The owner stored everything up to `seq`; more than was handed over counts as that.
    pub fn committed(&mut self, seq: u64, now: Duration) {
        let seq = seq.min(self.received);
        if seq <= self.committed {
            return;
        }
        self.committed = seq;
        self.since.get_or_insert(now);
        self.now |= seq - self.told >= ACK_COUNT.min((self.window / 2).max(1));
    }

    /// When the next acknowledgement must go out.
    pub fn due(&self, now: Duration) -> Option<Duration> {
        if self.now { Some(now) } else { self.since.map(|since| since.saturating_add(ACK_TIME)) }
    }

    /// What the peer is told now.
    pub fn tell(&mut self) -> u64 {
        (self.told, self.since, self.now) = (self.committed, None, false);
        self.committed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Duration = Duration::from_secs(9);

    #[test]
    fn the_window_stops_the_sender_and_an_acknowledgement_moves_it() {
        let mut out = Outgoing::new(10, 12, 3);
        for seq in 11..=13 {
            assert_eq!((out.wants(), out.is_replay()), (Some(seq), seq <= 12));
            out.sent();
        }
        assert_eq!(out.wants(), None);
        assert_eq!((out.acked(11), out.acked(11), out.acked(5)), (Ok(true), Ok(false), Ok(false)));
        assert_eq!(out.wants(), Some(14));
        assert_eq!(out.acked(14).unwrap_err().code, Code::SeqAhead);
    }

    #[test]
    fn what_the_peer_holds_of_before_is_not_sent_again() {
        let mut out = Outgoing::new(0, 100, 5);
        out.sent();
        assert_eq!((out.acked(100), out.wants()), (Ok(true), Some(101)));
        assert_eq!(out.acked(101).unwrap_err().code, Code::SeqAhead);
    }

    #[test]
    fn repetitions_are_acknowledged_again_gaps_and_floods_are_refused() {
        let mut incoming = Incoming::new(5, 4);
        assert_eq!((incoming.take(6), incoming.due(T)), (Ok(true), None));
        assert_eq!((incoming.take(6), incoming.take(1), incoming.due(T)), (Ok(false), Ok(false), Some(T)));
        // Acknowledged is what is stored, not what came.
        assert_eq!((incoming.tell(), incoming.due(T)), (5, None));
        assert_eq!(incoming.take(8).unwrap_err().code, Code::SeqGap);
        assert!((7..=9).all(|seq| incoming.take(seq) == Ok(true)));
        assert_eq!(incoming.take(10).unwrap_err().code, Code::WindowExceeded);
    }

    #[test]
    fn commits_are_told_in_time_or_in_number() {
        let mut incoming = Incoming::new(0, 256);
        assert!((1..=40).all(|seq| incoming.take(seq) == Ok(true)));
        incoming.committed(1, T);
        incoming.committed(31, T * 2);
        assert_eq!(incoming.due(T * 2), Some(T + ACK_TIME));
        incoming.committed(32, T * 2);
        assert_eq!((incoming.due(T * 2), incoming.tell(), incoming.due(T)), (Some(T * 2), 32, None));
        incoming.committed(99, T);
        assert_eq!(incoming.tell(), 40, "never more than was handed over");
        let mut narrow = Incoming::new(0, 1);
        assert_eq!(narrow.take(1), Ok(true));
        narrow.committed(1, T);
        assert_eq!(narrow.due(T), Some(T), "a narrow window is opened at once");
    }
}
