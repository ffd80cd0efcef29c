//! Papers, read back by programs of others: `pdftotext` and `pdfinfo` of Poppler, and `qpdf`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// What a program of another make says about a paper.
fn ask(program: &str, before: &[&str], file: &Path, after: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(before).arg(file).args(after).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; install it with `make prepare`"));
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn stored(paper: &Paper) -> (tempfile::TempDir, PathBuf) {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("{}.pdf", NEXT.fetch_add(1, Ordering::Relaxed)));
    let bytes = paper.pdf().unwrap();
    std::fs::write(&file, &bytes).unwrap();
    if let Some(folder) = std::env::var_os("TAPWARD_SCREENS") {
        std::fs::create_dir_all(&folder).unwrap();
        let name = format!("{}-{}.pdf", paper.title.replace(['/', ' '], "-"), paper.language);
        std::fs::write(Path::new(&folder).join(name), &bytes).unwrap();
    }
    (folder, file)
}

fn text_of(paper: &Paper) -> String {
    let (_folder, file) = stored(paper);
    let (is_read, text) = ask("pdftotext", &["-layout", "-enc", "UTF-8"], &file, &["-"]);
    assert!(is_read, "{text}");
    // Spaces that do not break are drawn as they are; Poppler says them as others.
    text.replace('\u{a0}', " ")
}

fn column(head: &str, width: u16, align: Align) -> Column {
    Column { head: head.to_owned(), width, align }
}

fn fact(what: &str, value: &str) -> (String, String) {
    (what.to_owned(), value.to_owned())
}

fn cells(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

fn paper(title: &str) -> Paper {
    Paper {
        sheet: Sheet::A4,
        language: "en".to_owned(),
        made: Made { date: (2026, 11, 24), time: (9, 41, 7) },
        issuer: "Clinic on the Hill".to_owned(),
        title: title.to_owned(),
        facts: vec![fact("Patient", "Коваленко Олена"), fact("Days", "1 Nov – 24 Nov 2026")],
        parts: Vec::new(),
        foot: "Clinic on the Hill, 12 Hill Street".to_owned(),
        page: "Page {n} of {m}".to_owned(),
    }
}

fn statement(lines: usize) -> Paper {
    let columns = vec![
        column("No.", 8, Align::Right),
        column("When", 18, Align::Left),
        column("What", 44, Align::Left),
        column("Charged", 15, Align::Right),
        column("Paid", 15, Align::Right),
        column("Balance", 15, Align::Right),
    ];
    let mut rows: Vec<Row> = (1..=lines)
        .map(|n| {
            let what = "Консультация терапевта, повторная";
            Row::plain(cells(&[&n.to_string(), "24.11.2026 09:41", what, "1\u{a0}018,00", "", "12\u{a0}345,67"]))
        })
        .collect();
    rows.push(Row::total(cells(&["", "", "Together", "1\u{a0}018,00", "0,00", "12\u{a0}345,67"])));
    Paper { parts: vec![Part::Table(Table { columns, rows })], ..paper("Statement") }
}

#[test]
fn words_in_latin_and_cyrillic_letters_read_back() {
    let parts = vec![
        Part::Heading("Services of today".to_owned()),
        Part::Facts(vec![fact("Врач", "Шевченко Ґанна Їжаківна")]),
        Part::Text("Ärzte, Łódź, żółć, ñandú, Ёлка; № 12 — 5 € · 3 ₴".to_owned()),
        Part::Strong("To be paid".to_owned(), "1\u{a0}018,00 UAH".to_owned()),
    ];
    let text = text_of(&Paper { parts, ..paper("Receipt 17") });
    for word in [
        "Clinic on the Hill",
        "Receipt 17",
        "Коваленко Олена",
        "Services of today",
        "Шевченко Ґанна Їжаківна",
        "Ärzte, Łódź, żółć, ñandú, Ёлка; № 12 — 5 € · 3 ₴",
        "To be paid",
        "1 018,00 UAH",
        "Page 1 of 1",
    ] {
        assert!(text.contains(word), "{word:?} in {text}");
    }
}

#[test]
fn the_file_is_well_formed_archival_and_tagged() {
    let (_folder, file) = stored(&statement(120));
    let (is_fine, said) = ask("qpdf", &["--check"], &file, &[]);
    assert!(is_fine, "{said}");
    let (is_read, info) = ask("pdfinfo", &[], &file, &[]);
    assert!(is_read, "{info}");
    let line = |name: &str| info.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(line("Title:").ends_with("Statement"), "{info}");
    assert!(line("Tagged:").ends_with("yes"), "{info}");
    assert!(line("Page size:").contains("595.2") && line("Page size:").contains("A4"), "{info}");
    assert!(line("Encrypted:").ends_with("no") && line("JavaScript:").ends_with("no"), "{info}");
    assert!(line("CreationDate:").contains("2026"), "{info}");
    let (_, metadata) = ask("pdfinfo", &["-meta"], &file, &[]);
    assert!(metadata.contains("pdfaid:part>2<") && metadata.contains("pdfaid:conformance>A<"), "{metadata}");
    let (_, structure) = ask("pdfinfo", &["-struct"], &file, &[]);
    for tag in ["Table", "TR", "TH", "TD", "H1"] {
        assert!(
            structure.lines().any(|line| line.trim().trim_end_matches(':').split(' ').next() == Some(tag)),
            "{tag} in {structure}"
        );
    }
}

#[test]
fn a_table_goes_over_pages_with_its_head_on_each_and_every_row_once() {
    let paper = statement(300);
    let (_folder, file) = stored(&paper);
    let text = text_of(&paper);
    let pages: Vec<&str> = text.split('\u{c}').filter(|page| !page.trim().is_empty()).collect();
    assert!(pages.len() > 4, "{}", pages.len());
    for (at, page) in pages.iter().enumerate() {
        assert!(page.contains("Charged") && page.contains("Balance"), "page {}", at + 1);
        assert!(page.contains(&format!("Page {} of {}", at + 1, pages.len())), "page {}", at + 1);
    }
    let numbers: Vec<usize> = text
        .lines()
        .filter(|line| line.contains("24.11.2026"))
        .map(|line| line.split_whitespace().next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers, (1..=300).collect::<Vec<_>>());
    let (_, info) = ask("pdfinfo", &[], &file, &[]);
    assert!(info.contains(&format!("Pages:           {}", pages.len())), "{info}");
}

#[test]
fn long_texts_wrap_within_their_column_and_lose_nothing() {
    let columns = vec![column("What", 30, Align::Left), column("Amount", 10, Align::Right)];
    let long = (1..=60).map(|n| format!("слово{n}")).collect::<Vec<_>>().join(" ");
    let unbroken = "x".repeat(400);
    let rows = vec![Row::plain(cells(&[&long, "5.00"])), Row::plain(cells(&[&unbroken, "6.00"]))];
    let parts = vec![Part::Table(Table { columns, rows })];
    let text = text_of(&Paper { parts, ..paper("Long") });
    let all: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for n in 1..=60 {
        assert!(all.contains(&format!("слово{n}")), "{n} in {text}");
    }
    let count = text.matches('x').count();
    assert_eq!(count, 400);
    assert!(text.lines().all(|line| line.trim_end().chars().count() < 150), "{text}");
}

#[test]
fn a_receipt_is_as_long_as_its_roll() {
    let columns = vec![column("Service", 40, Align::Left), column("UAH", 18, Align::Right)];
    let rows = (1..=3).map(|n| Row::plain(cells(&[&format!("Анализ крови № {n}"), "350,00"]))).collect();
    let parts =
        vec![Part::Table(Table { columns, rows }), Part::Strong("Paid".to_owned(), "1\u{a0}050,00 UAH".to_owned())];
    let short = Paper { sheet: Sheet::Roll80, parts, ..paper("Receipt 18") };
    let (_folder, file) = stored(&short);
    let (_, info) = ask("pdfinfo", &[], &file, &[]);
    let size = info.lines().find(|line| line.starts_with("Page size:")).unwrap().to_owned();
    let numbers: Vec<f32> = size.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!((numbers[0] - 226.77).abs() < 0.1 && numbers[1] > 150.0 && numbers[1] < 400.0, "{size}");
    let text = text_of(&short);
    assert!(text.contains("Анализ крови № 3") && text.contains("1 050,00 UAH"), "{text}");
    assert!(text.contains("12 Hill Street") && !text.contains("Page 1"), "{text}");
}

#[test]
fn the_same_paper_is_the_same_file() {
    let first = statement(50).pdf().unwrap();
    assert_eq!(first, statement(50).pdf().unwrap());
    let other = Paper { made: Made { date: (2026, 11, 25), time: (0, 0, 0) }, ..statement(50) };
    assert_ne!(first, other.pdf().unwrap());
}

#[test]
fn letters_that_nobody_can_draw_become_a_mark_and_nothing_breaks() {
    let odd = "A\u{0}B\u{202e}C\u{1f600}D\u{fffe}漢字 עברית \u{301}é\tE\r\nF";
    let text = text_of(&Paper {
        parts: vec![Part::Text(odd.to_owned()), Part::Facts(vec![fact(odd, odd)])],
        foot: odd.to_owned(),
        ..paper("Odd \u{1f600}")
    });
    assert!(text.contains("Clinic on the Hill") && text.contains('\u{fffd}'), "{text}");
    for nothing in ["", " ", "\n\n", "\u{feff}"] {
        let parts = vec![Part::Heading(nothing.to_owned()), Part::Strong(nothing.to_owned(), nothing.to_owned())];
        let empty = Paper {
            issuer: String::new(),
            title: nothing.to_owned(),
            facts: Vec::new(),
            foot: nothing.to_owned(),
            page: String::new(),
            language: String::new(),
            parts,
            ..paper("")
        };
        assert!(empty.pdf().is_ok(), "{nothing:?} {:?}", empty.pdf().err());
    }
}

#[test]
fn what_is_beyond_the_limits_is_refused_or_cut_with_a_mark() {
    assert_eq!(statement(ROWS_MAX + 1).pdf(), Err(PaperError::TooLong));
    let many = Paper { facts: vec![fact("a", "b"); PARTS_MAX + 1], ..paper("Many") };
    assert_eq!(many.pdf(), Err(PaperError::TooLong));
    let none = Table { columns: Vec::new(), rows: Vec::new() };
    assert_eq!(Paper { parts: vec![Part::Table(none)], ..paper("None") }.pdf(), Err(PaperError::NoColumn));
    let narrow = Table { columns: vec![column("a", 0, Align::Left)], rows: Vec::new() };
    assert_eq!(Paper { parts: vec![Part::Table(narrow)], ..paper("Narrow") }.pdf(), Err(PaperError::NoColumn));
    let long = "word ".repeat(TEXT_MAX);
    let text = text_of(&Paper { parts: vec![Part::Text(long)], ..paper("Cut") });
    assert!(text.matches("word").count() <= TEXT_MAX / 5 && text.contains('…'), "{text}");
    let one = Row::plain(cells(&["one", "two", "three", "four"]));
    let table = Table { columns: vec![column("a", 1, Align::Left), column("b", 1, Align::Right)], rows: vec![one] };
    let text = text_of(&Paper { parts: vec![Part::Table(table)], ..paper("Cells") });
    assert!(text.contains("two") && !text.contains("three"), "{text}");
}

#[test]
fn ten_thousand_lines_are_one_paper() {
    let bytes = statement(10_000).pdf().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.pdf");
    std::fs::write(&file, bytes).unwrap();
    let (is_fine, said) = ask("qpdf", &["--check"], &file, &[]);
    assert!(is_fine, "{said}");
}
