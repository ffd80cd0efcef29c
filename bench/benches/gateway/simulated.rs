//! The simulator in a child process, so that its CPU time is not the gateway's. Told what to do over its standard
//! input; it ends with it, so that nothing is left behind.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use controller_sim::{Fault, Handle, Options, Simulator, Walk};
use domain::CardId;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{monotonic, plant};

pub const ROLE: &str = "simulated-readers";
/// Between two taps: at random, so that they come at any moment of a round.
const BETWEEN_TAPS_MS: std::ops::Range<u64> = 10..30;

/// The child's whole life.
pub fn play(arguments: &[String]) {
    let folder = Path::new(&arguments[0]);
    let lines: u8 = arguments[1].parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let options = Options { clock: plant::clock(), tap_record: None, seed: 1 };
        let simulator =
            Simulator::start(&plant::plant(folder, lines), &options, &CancellationToken::new()).await.unwrap();
        say("ready");
        let (words, mut heard) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || {
            // Ends with the standard input; dropping the sender ends the process.
            std::io::stdin().lock().lines().map_while(Result::ok).try_for_each(|word| words.send(word))
        });
        let mut next_card = 1;
        while let Some(word) = heard.recv().await {
            let handle = simulator.handle();
            match word.split_once(' ') {
                Some(("tap", how)) => {
                    let (count, patience) = how.split_once(' ').unwrap();
                    let (count, patience) = (count.parse().unwrap(), patience.parse().unwrap());
                    taps(&handle, next_card, count, Duration::from_millis(patience)).await;
                    next_card += count;
                }
                Some(("silence", reader)) => {
                    let reader = plant::reader_id(0, reader.parse().unwrap());
                    handle.inject_reader(&reader, Fault::Silent).await.unwrap();
                }
                _ => {}
            }
            say("done");
        }
        simulator.stop().await;
    });
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}

/// Cards at the readers of the first line in turn, at random moments; never at number 0, which may be dead. Whoever
/// stood at a reader before has left when its turn comes again.
async fn taps(handle: &Handle, first: u32, count: u32, patience: Duration) {
    let mut under_way = JoinSet::new();
    for number in first..first + count {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(BETWEEN_TAPS_MS))).await;
        let handle = handle.clone();
        under_way.spawn(async move {
            let reader = 1 + number % (u32::from(plant::READERS) - 1);
            let reader = plant::reader_id(0, u8::try_from(reader).unwrap());
            let card = plant::card(number);
            let at = monotonic();
            let tap = handle.tap(&reader, &card, Walk::Away, patience);
            let outcome = tap.await.unwrap();
            say(&format!("{number} {at} {outcome:?}"));
        });
    }
    under_way.join_all().await;
}

/// The child, as seen by the parent.
pub struct Simulated {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

/// A card that was held to a reader, and when.
pub struct Tap {
    pub card: CardId,
    pub at: u64,
}

impl Simulated {
    /// Starts it with so many lines in `folder`; its pseudo-terminals are there when this returns.
    pub fn start(folder: &Path, lines: u8) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(ROLE)
            .arg(folder)
            .arg(lines.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let started = Self { child, stdin, lines: read(stdout) };
        assert_eq!(started.lines.recv().unwrap(), "ready");
        started
    }

    /// Holds so many cards to readers, one after the other, and waits until all are answered.
    pub fn tap(&mut self, count: u32) -> Vec<Tap> {
        self.taps(count, Duration::from_secs(5), "Answered")
    }

    /// The same, and nobody expects an answer.
    pub fn tap_in_vain(&mut self, count: u32) -> Vec<Tap> {
        self.taps(count, Duration::from_millis(200), "Unanswered")
    }

    fn taps(&mut self, count: u32, patience: Duration, outcome: &str) -> Vec<Tap> {
        self.order(&format!("tap {count} {}", patience.as_millis()))
            .iter()
            .map(|line| {
                let mut words = line.split(' ');
                let number = words.next().unwrap().parse().unwrap();
                let at = words.next().unwrap().parse().unwrap();
                assert_eq!(words.next(), Some(outcome), "card {number}");
                Tap { card: plant::card_id(number), at }
            })
            .collect()
    }

    /// This reader of the first line says nothing any more.
    pub fn silence(&mut self, reader: u8) {
        self.order(&format!("silence {reader}"));
    }

    fn order(&mut self, order: &str) -> Vec<String> {
        writeln!(self.stdin.as_mut().unwrap(), "{order}").unwrap();
        self.lines.iter().take_while(|line| line != "done").collect()
    }
}

fn read(stdout: ChildStdout) -> Receiver<String> {
    let (lines, heard) = channel();
    std::thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
    });
    heard
}

impl Drop for Simulated {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}
