//! A small panel for the tests of the simulator: the real control panel of `wire` on a real port, letting in the
//! cards it is told to.

#![allow(dead_code, reason = "each test program uses a part")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::osdp::command::{Blink, BuzzerControl, Colour, LedControl, OutputAction, OutputControl, TemporaryLed};
use wire::osdp::panel::{Bus, BusSettings, EventKind, ReaderCommand, ReaderIndex, ReaderSettings, Step};

/// What the panel does with a card.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Answer {
    /// Green LED, then the release for 1.6 seconds.
    Grant,
    /// Red LED and a beep.
    Refuse,
    /// Nothing.
    Nothing,
}

/// A panel running in a task of its own; stops when dropped.
pub struct Panel {
    /// Everything the bus reported, with the reader's place in the list of settings.
    pub events: Arc<Mutex<Vec<(usize, EventKind)>>>,
    stop: CancellationToken,
}

impl Panel {
    /// Opens the port again and again until there is one.
    pub fn start(port: PathBuf, readers: Vec<ReaderSettings>, answer: Answer) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let stop = CancellationToken::new();
        tokio::spawn(run(port, readers, answer, events.clone(), stop.clone()));
        Self { events, stop }
    }

    /// How many events so far are like this.
    pub fn count(&self, like: impl Fn(usize, &EventKind) -> bool) -> usize {
        self.events.lock().unwrap().iter().filter(|(reader, kind)| like(*reader, kind)).count()
    }

    /// The last events, for messages.
    pub fn last(&self) -> Vec<(usize, EventKind)> {
        let events = self.events.lock().unwrap();
        events.iter().rev().take(12).rev().cloned().collect()
    }

    /// Waits until there is an event like this; fails after ten seconds.
    pub async fn wait(&self, what: &str, like: impl Fn(usize, &EventKind) -> bool) {
        let start = Instant::now();
        while self.count(&like) == 0 {
            assert!(start.elapsed() < Duration::from_secs(15), "no {what}: {:?}", self.last());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn run(
    port: PathBuf,
    readers: Vec<ReaderSettings>,
    answer: Answer,
    events: Arc<Mutex<Vec<(usize, EventKind)>>>,
    stop: CancellationToken,
) {
    let mut rng = fastrand::Rng::with_seed(99);
    let mut bus = Bus::new(BusSettings::new(115_200), readers, Box::new(move |bytes| rng.fill(bytes))).unwrap();
    let start = Instant::now();
    loop {
        let open = tokio_serial::SerialStream::open(&tokio_serial::new(port.to_string_lossy(), 115_200));
        let Ok(mut stream) = open else {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(50)) => continue,
            }
        };
        bus.line_up(start.elapsed());
        tokio::select! {
            () = stop.cancelled() => return,
            () = talk(&mut bus, &mut stream, start, answer, &events) => bus.line_down(start.elapsed()),
        }
        while let Some(event) = bus.poll_event() {
            events.lock().unwrap().push((event.reader.get(), event.kind));
        }
    }
}

/// Until the port fails.
async fn talk(
    bus: &mut Bus,
    stream: &mut tokio_serial::SerialStream,
    start: Instant,
    answer: Answer,
    events: &Mutex<Vec<(usize, EventKind)>>,
) {
    let mut buffer = [0; 1024];
    loop {
        while let Some(event) = bus.poll_event() {
            if matches!(event.kind, EventKind::Card { .. }) {
                reply(bus, start.elapsed(), event.reader, answer);
            }
            events.lock().unwrap().push((event.reader.get(), event.kind));
        }
        let until = match bus.next(start.elapsed()) {
            Step::Send(bytes) => {
                if stream.write_all(bytes).await.is_err() {
                    return;
                }
                continue;
            }
            Step::SetBaud(_) => continue,
            Step::WaitUntil(at) => start + at,
        };
        tokio::select! {
            read = stream.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(len) => bus.on_bytes(start.elapsed(), &buffer[..len]),
            },
            () = tokio::time::sleep_until(until) => {}
        }
    }
}

fn reply(bus: &mut Bus, now: Duration, reader: ReaderIndex, answer: Answer) {
    let led = |colour| {
        ReaderCommand::Led(vec![LedControl {
            reader: 0,
            led: 0,
            temporary: TemporaryLed::Show { blink: Blink::steady(colour), timer_100ms: 20 },
            permanent: None,
        }])
    };
    match answer {
        Answer::Grant => {
            let open = OutputControl { output: 0, action: OutputAction::OnTimed, timer_100ms: 16 };
            bus.command(now, reader, ReaderCommand::Output(vec![open])).unwrap();
            bus.command(now, reader, led(Colour::Green)).unwrap();
        }
        Answer::Refuse => {
            bus.command(now, reader, led(Colour::Red)).unwrap();
            let beep = BuzzerControl { reader: 0, tone: 2, on_100ms: 2, off_100ms: 1, count: 2 };
            bus.command(now, reader, ReaderCommand::Buzzer(beep)).unwrap();
        }
        Answer::Nothing => {}
    }
}
