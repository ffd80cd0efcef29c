//! acs-link's reader against libxml2's stream reader, in the same run and in turns: decode and check of a PassEvent of
//! about 600 bytes. Beside it, for comparison: bare events of a general reader, the writer, and a whole session.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark may stop")]

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bench::{Goal, heading, line, median};
use domain::UtcMillis;
use quick_xml::NsReader;
use quick_xml::events::Event as Xml;
use wire::acs_link::session::{Event, Now, Positions, Session, Settings};
use wire::acs_link::{Body, Msg, Role, Token, Uuid, read, to_vec, write};

/// A PassEvent as turnstiles send them, with the texts in Cyrillic.
const DOCUMENT: &str = concat!(
    r#"<Msg xmlns="urn:acs-link:1" v="1.0" id="019a9f3e-7c1a-7b7e-9f7e-000000000007" stream="events" seq="184467" "#,
    r#"sentAt="2026-11-21T09:15:30.412+03:00"><PassEvent eventId="gate-7:77:1203344" "#,
    r#"occurredAt="2026-11-21T09:15:29.870+03:00" clock="synced"><Point>clinic-1/main-hall/turnstile-03</Point>"#,
    r#"<Credential format="wiegand26">4C1A2B</Credential><Person>person-88412</Person><Direction>in</Direction>"#,
    r#"<Result code="passed" reason="ok" by="controller"/><Ext name="note">Главный вход, турникет 3</Ext>"#,
    r#"<Ext name="shift">2026-11-21/day</Ext></PassEvent></Msg>"#,
);
const ROUNDS: usize = 9;
const COUNT: u32 = 40_000;

fn main() {
    println!("{}", heading(&format!("acs-link, a PassEvent of {} bytes", DOCUMENT.len())));
    let folder = tempfile::tempdir().unwrap();
    let floor = compile(folder.path());
    let msg = read(DOCUMENT.as_bytes()).unwrap();
    let (mut ours, mut libxml2, mut events, mut written) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        ours.push(time(|| drop(black_box(read(black_box(DOCUMENT.as_bytes())).unwrap()))));
        libxml2.push(floor());
        events.push(time(|| {
            black_box(bare_events(black_box(DOCUMENT)));
        }));
        let mut out = Vec::with_capacity(1024);
        written.push(time(|| {
            out.clear();
            write(black_box(&msg), &mut out).unwrap();
            black_box(&out);
        }));
    }
    let [ours, libxml2, events, written] = [ours, libxml2, events, written].map(|mut ns| 1e9 / median(&mut ns));
    println!("{}", line("decode and check, against libxml2's stream reader", ours, libxml2, "/s", Goal::AtLeast(1.5)));
    println!("{}", line("bare events of quick-xml, nothing checked", events, libxml2, "/s", Goal::Shown));
    println!("{}", line("decode and check, against those bare events", ours, events, "/s", Goal::Shown));
    println!("{}", line("write, against decode and check", written, ours, "/s", Goal::Shown));
    let mut sessions: Vec<f64> = (0..3).map(|_| sessions(&msg, 100_000)).collect();
    println!("{}", line("two sessions: events acknowledged", median(&mut sessions), ours, "/s", Goal::Shown));
}

/// Nanoseconds for one call.
fn time(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..COUNT).for_each(|_| call());
    start.elapsed().as_nanos() as f64 / f64::from(COUNT)
}

/// Builds the floor; each call gives its nanoseconds for one document.
fn compile(folder: &Path) -> impl Fn() -> f64 {
    let (source, program) =
        (concat!(env!("CARGO_MANIFEST_DIR"), "/benches/acs_link/stream_reader.c"), folder.join("floor"));
    let document = folder.join("document.xml");
    std::fs::write(&document, DOCUMENT).unwrap();
    let built = Command::new("cc")
        .args(["-O2", "-I/usr/include/libxml2", "-o"])
        .arg(&program)
        .args([source, "-lxml2"])
        .status()
        .expect("cc is missing");
    assert!(built.success(), "libxml2's headers are missing: make prepare");
    move || {
        let output = Command::new(&program).arg(&document).arg(COUNT.to_string()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().parse().unwrap()
    }
}

fn bare_events(document: &str) -> usize {
    let mut reader = NsReader::from_str(document);
    let mut sum = 0;
    loop {
        match reader.read_event().unwrap() {
            Xml::Eof => return sum,
            Xml::Start(tag) | Xml::Empty(tag) => {
                sum += tag.attributes().map(|attribute| attribute.unwrap().value.len()).sum::<usize>();
            }
            Xml::Text(text) => sum += text.len(),
            _ => {}
        }
    }
}

/// A controller and a gateway in one thread, nothing stored and no socket: what the protocol itself costs, in events
/// acknowledged a second.
fn sessions(msg: &Msg, count: u64) -> f64 {
    let random = || Box::new(|bytes: &mut [u8]| bytes.fill(7));
    let settings = |role, node| Settings::new(role, Token::new(node).unwrap(), Uuid([role as u8; 16]));
    let start = Instant::now();
    let now = || Now { mono: start.elapsed(), wall: UtcMillis(1_795_241_730_000) };
    let positions = Positions { last: count, ..Positions::default() };
    let mut acs = Session::connect(settings(Role::Acs, "gate-7"), positions, now(), random());
    let mut gw = Session::accept(settings(Role::Gw, "tapward-1"), now(), random());
    let mut acked = 0;
    while acked < count {
        let mut last = None;
        while let Some(event) = gw.poll_event() {
            match event {
                Event::Hello(_) => gw.welcome(Positions::default(), now()).unwrap(),
                Event::Durable(durable) => last = Some(durable.seq),
                _ => {}
            }
        }
        if let Some(seq) = last {
            gw.committed(seq, now());
        }
        while let Some(event) = acs.poll_event() {
            match event {
                Event::Acked { seq } => acked = seq,
                Event::Closed(end) => unreachable!("{end:?}"),
                _ => {}
            }
        }
        while let Some(seq) = acs.wants().filter(|seq| *seq <= count) {
            acs.send_durable(seq, msg.id, None, msg.body.clone(), now()).unwrap();
        }
        exchange(&mut acs, &mut gw, now());
        exchange(&mut gw, &mut acs, now());
    }
    assert!(matches!(read(&to_vec(msg).unwrap()).unwrap().body, Body::PassEvent(_)));
    count as f64 / (start.elapsed() + Duration::from_nanos(1)).as_secs_f64()
}

fn exchange(from: &mut Session, to: &mut Session, now: Now) {
    let taken = {
        let out = from.output(now);
        to.receive(out, now)
    };
    from.wrote(taken, now);
}
