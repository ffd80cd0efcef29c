//! What people read: pages as snapshots, hostile names inert, contrast of colours.

use super::*;
use domain::{Draft, GatewayId, Kind, PointId};
use std::collections::HashMap;

#[tokio::test]
async fn pages_of_a_morning_read_as_they_should() {
    let mut stage = Stage::new().await;
    let now = stage.hands.now();
    scene::furnish(&stage.database, now).await;
    scene::morning(&mut stage.recorder, now).await;
    scene::equipment(&stage.database, now).await;
    let token = stage.token(Role::Guard);
    let mut words = String::new();
    for path in ["/live?point=turnstile-2", "/devices?only=trouble", "/journal?kind=refused&reason=expired&open=227"] {
        let answer = stage.get(path, Some(&token)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        let main = answer.text.split("<main").nth(1).unwrap().split("</main>").next().unwrap();
        words += &format!("== {path}\n{}\n", words_of(&format!("<main{main}")));
    }
    insta::assert_snapshot!("morning", words);
}

#[tokio::test]
async fn two_thousand_controllers_make_a_page_that_a_phone_can_hold_trouble_first() {
    use clinic::devices::{self, Gateway, Line, Peer, PeerKind, Report};
    let stage = Stage::new().await;
    scene::equipment(&stage.database, stage.hands.now()).await;
    let (now, gateway) = (stage.hands.now(), GatewayId::new(scene::GATEWAY).unwrap());
    let line = |n: usize| Line {
        id: domain::LineId::new(&format!("controller-{n}")).unwrap(),
        port: String::new(),
        open: n != 1_999,
        polls_per_1000_s: 0,
        problem: None,
        peer: Some(Peer {
            secure: true,
            connected_since: Some(now),
            ..Peer::new(PeerKind::AcsLink, "192.0.2.7:50112".to_owned())
        }),
    };
    let report = Report {
        gateway: Gateway::new(gateway),
        lines: (0..2_000).map(line).collect(),
        readers: vec![],
        doors: vec![],
    };
    devices::report(&stage.database, report, now).await.unwrap();
    let page = stage.get("/devices", Some(&stage.token(Role::Guard))).await.text;
    assert!(page.len() < 1 << 20, "{}", page.len());
    let rows: Vec<&str> = page.split("table class=\"cards peers\"").nth(1).unwrap().split("<tr").skip(2).collect();
    let first = rows.iter().position(|row| row.contains("Controller 1999")).unwrap();
    let fine = rows.iter().position(|row| row.contains("Controller 0<")).unwrap();
    assert!(first < fine, "what needs a look stands above what does not");
    assert!(page.contains("500 controllers and systems shown"));
    let found = stage.get("/devices?q=controller-1234", Some(&stage.token(Role::Guard))).await.text;
    assert!(found.contains("Controller 1234") && found.contains("1 controller or system shown"));
}

/// What is left of a page without its tags.
fn words_of(html: &str) -> String {
    let mut text = String::new();
    for piece in html.split('<') {
        let (tag, words) = piece.split_once('>').unwrap_or(("", piece));
        if ["tr", "/tr", "li", "h1", "h2", "p", "div", "section", "dt", "label", "option", "button", "form"]
            .contains(&tag.split(' ').next().unwrap_or_default())
        {
            text.push('\n');
        } else if ["td", "th", "dd", "br"].contains(&tag.split(' ').next().unwrap_or_default()) {
            text.push_str(" | ");
        }
        text.push_str(words);
    }
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Every kind and reason as the large banner and as a line, in every language: the page of all components.
#[test]
fn every_component_renders_for_every_kind_reason_and_language() {
    use crate::pages::live::{Banner, Row};
    use askama::Template;
    for language in crate::language::Language::ALL {
        let texts = language.texts();
        let times = crate::times::Times::new(chrono_tz::Europe::Kyiv, texts);
        let faces = crate::faces::Faces::default();
        let mut words = String::new();
        for kind in Kind::ALL {
            for reason in domain::Reason::ALL.iter().copied().map(Some).chain([None]) {
                let fact = Draft {
                    reason,
                    ..scene::fact(domain::UtcMillis(0), *kind, "turnstile-1", domain::Direction::In, Some(1), None)
                };
                let entry = domain::Entry {
                    gateway: GatewayId::new("g").unwrap(),
                    epoch: domain::Epoch([0; 16]),
                    seq: 1,
                    fact,
                };
                let event =
                    clinic::events::Event { id: 1, received: domain::UtcMillis(0), entry, category: None, pass: None };
                words += &Row::new(&event, &faces, &texts, &times).render().unwrap();
                words += &Banner::new(&event, &faces, &texts, &times).render().unwrap();
            }
        }
        for key in ["kind-", "reason-", "todo-", "verdict-held", "verdict-alarm"] {
            assert!(!words.contains(&format!(">{key}")), "{language:?}: a key in place of a text");
        }
        for tone in ["tone-ok", "tone-warn", "tone-bad", "tone-info"] {
            assert!(words.contains(tone), "{tone}");
        }
    }
}

const HOSTILE: &[&str] = &[
    "<img src=x onerror=alert(1)>",
    "\"><script>alert(1)</script>",
    "'; alert(1)//",
    "</title><svg onload=alert(1)>",
    "{{7*7}}",
    "javascript:alert(1)",
    "<a href=//evil.example>",
    "\u{202e}gnp.exe",
    "%3Cscript%3E",
    "' OR '1'='1",
];

#[tokio::test]
async fn hostile_text_is_shown_and_does_nothing() {
    let mut stage = Stage::new().await;
    let administrator = stage.token(Role::Administrator);
    let now = stage.hands.now();
    for (n, text) in HOSTILE.iter().enumerate() {
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let fields = format!("login=h{n}&role=guard&shown_name={encoded}");
        assert_eq!(stage.post("/accounts/create", &administrator, &fields).await.status, StatusCode::OK, "{text}");
        let mut alarm = Draft::new(now, Kind::Alarm);
        alarm.detail = Some((*text).to_owned());
        alarm.point = Some(PointId::new("turnstile-1").unwrap());
        stage.recorder.record(vec![alarm]).await;
        let report = clinic::devices::Report {
            gateway: clinic::devices::Gateway {
                software: Some((*text).to_owned()),
                ..clinic::devices::Gateway::new(GatewayId::new("g").unwrap())
            },
            lines: vec![],
            readers: vec![],
            doors: vec![],
        };
        clinic::devices::report(&stage.database, report, now).await.unwrap();
        let newest = clinic::events::last_id(&stage.database).await.unwrap();
        let paths = [
            "/accounts".to_owned(),
            "/live".to_owned(),
            "/devices".to_owned(),
            format!("/journal?open={newest}"),
            format!("/journal?q={encoded}&from={encoded}&point={encoded}"),
            format!("/devices?q={encoded}"),
            format!("/sign-in?next={encoded}"),
            format!("/{encoded}"),
            format!("/live?point={encoded}"),
        ];
        for path in paths {
            let token = if path.starts_with("/sign-in") { None } else { Some(&administrator) };
            let page = stage.get(&path, token).await.text;
            for mark in ["<img src=x", "<script>alert", "<svg onload", "<a href=//evil"] {
                assert!(!page.contains(mark), "{path}: {mark}");
            }
            let inline = [" onerror", " onload", " onclick", " style", "<style", "<script>"];
            for tag in page.split('<').filter_map(|piece| piece.split_once('>')).map(|(tag, _)| format!("<{tag}>")) {
                // Names of attributes only: a value between quotes is text.
                let names: String = tag.split('"').step_by(2).collect();
                assert!(!inline.iter().any(|mark| names.contains(mark)), "{path}: {tag}");
            }
        }
    }
}

#[tokio::test]
async fn exports_hold_no_formulas_and_name_their_own_file() {
    let mut stage = Stage::new().await;
    let mut alarm = Draft::new(stage.hands.now(), Kind::Alarm);
    alarm.detail = Some("=HYPERLINK(\"http://evil.example\")".to_owned());
    stage.recorder.record(vec![alarm]).await;
    let answer = stage.get("/journal.csv", Some(&stage.token(Role::Manager))).await;
    assert!(answer.text.contains("\"'=HYPERLINK(\"\"http"), "{}", answer.text);
    assert_eq!(answer.headers[header::CONTENT_DISPOSITION], "attachment; filename=\"journal.csv\"");
    assert_eq!(answer.text.lines().count(), 2);
}

#[test]
fn colours_have_the_contrast_that_the_sheet_promises() {
    let sheet = include_str!("../../assets/tapward.css");
    let light = tokens(sheet, ":root {");
    let dark = tokens(sheet, ":root[data-theme=\"dark\"] {");
    let system = tokens(sheet, ":root[data-theme=\"system\"] {");
    assert_eq!(dark, system, "dark by choice and dark by the computer are one design");
    let mut checked = 0;
    for line in sheet.lines().filter_map(|line| line.trim().trim_start_matches("/* ").strip_prefix("contrast ")) {
        let (least, pairs) = line.split_once(':').unwrap();
        let least: f64 = least.parse().unwrap();
        for pair in pairs.trim_end_matches("*/").split_whitespace() {
            let (ink, ground) = pair.split_once('/').unwrap();
            for (theme, colours) in [("light", &light), ("dark", &dark)] {
                let ratio = contrast(&colours[ink], &colours[ground]);
                assert!(ratio >= least, "{theme} {pair}: {ratio:.2} < {least}");
                checked += 1;
            }
        }
    }
    assert!(checked > 40, "{checked}");
}

fn tokens(sheet: &str, block: &str) -> HashMap<String, String> {
    let block = sheet.split(block).nth(1).unwrap().split('}').next().unwrap();
    let pairs = block.split(';').filter_map(|pair| pair.trim().strip_prefix("--")?.split_once(": #"));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// WCAG 2.2, "contrast ratio".
fn contrast(a: &str, b: &str) -> f64 {
    let luminance = |hex: &str| {
        let part = |n: usize| {
            let value = f64::from(u8::from_str_radix(&hex[n..n + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}
