//! Papers and figures of the till in a real browser: what a manager sees, files, papers read back by a program of another make,
//! phone width. With `TAPWARD_SCREENS=FOLDER` pictures and papers are written there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod chromium;
mod scene;
mod till;

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use clinic::acting::Acting;
use clinic::audit::Purpose;
use dashboard::{PaperSettings, TillSettings};
use domain::Shipped;
use domain::vault::{Names, Passport};
use fantoccini::Client;
use store::{Database, sqlx, transact};
use till::{Stage, fits, has, picture, uah};

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// What a name may try.
const HOSTILE: &str = "<script>alert(1)</script>";

async fn run(database: &Database, statement: &str) {
    let text = statement.to_owned();
    transact!(database, "test.run", |conn| {
        sqlx::query(sqlx::AssertSqlSafe(text.clone())).execute(&mut *conn).await?;
        Ok(())
    })
    .unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// Two months of a clinic: four patients, one contract, services with discounts, payments, debts of every age.
async fn furnish(stage: &Stage, account: &str) {
    let (database, now, today) = (&stage.database, stage.clock.now(), i64::from(stage.till.today().0));
    let names = [("Коваленко", "Олена"), ("Müller", "Jörg"), ("Шевченко", "Ігор"), (HOSTILE, "Test")];
    let mut batch = Vec::new();
    for (n, (family, given)) in (0..).zip(names) {
        let id = scene::person(n);
        run(database, &format!("UPDATE person SET language = 'ru' WHERE id = '{id}'")).await;
        batch.push((id, Passport { names: Names::new(family, given, ""), ..Passport::default() }.into()));
    }
    stage.vault.load(&Acting::console(), batch, Purpose::Maintenance).await.unwrap();
    let services = [
        ("exam", "Examination", "Осмотр терапевта"),
        ("blood", "Blood count", "Общий анализ крови"),
        ("scan", "Ultrasound", "УЗИ"),
    ];
    for (code, en, ru) in services {
        let names = format!("{{\"en\": \"{en}\", \"ru\": \"{ru}\"}}");
        run(database, &format!("INSERT INTO service (code, names, category, at_home, changed_ms) VALUES ('{code}', '{names}', 'x', 0, 1)")).await;
    }
    let from = today - 100;
    for statement in [
        format!("INSERT INTO payer (id, kind, name, changed_ms) VALUES ('steel', 'contract', 'Steel works {HOSTILE}', 1)"),
        "INSERT INTO pot (payer, currency, limit_minor, used_minor, changed_ms) VALUES ('steel', 'UAH', 2500000, 2150000, 1)".to_owned(),
        format!("INSERT INTO terms (id, version, is_current, withdrawn, scope, owner, mode, currency, limit_minor, pot, priority, from_day, made_ms, actor_kind, entry) VALUES ('works', 1, 1, 0, 'contract', 'steel', 'postpaid', 'UAH', 1200000, 'steel', 0, {from}, 1, 'system', 1)"),
        "INSERT INTO discount_scheme (id, version, name, currency, steps, rounding, unit_minor, made_ms, actor_kind, entry) VALUES ('loyal', 2, 'Loyal patients', 'UAH', '[[0, 0], [100000, 500]]', 'down', 1, 1, 'system', 1)".to_owned(),
        format!("INSERT INTO limit_override (id, no, target, owner, currency, extra_minor, reason, from_ms, until_ms, actor_kind, entry) VALUES ('o1', 1, 'pot', 'steel', 'UAH', 50000, 'treatment', {}, {}, 'system', 1)", now.0 - HOUR_MS, now.0 + HOUR_MS),
        format!("INSERT INTO till_shift (id, no, key, asked, drawer, account, currency, opened_ms, float_minor, entry) VALUES ('s1', 7, 'key-s1-123', 'x', 'main', '{account}', 'UAH', {}, 50000, 1)", now.0 - 5 * HOUR_MS),
    ] {
        run(database, &statement).await;
    }
    for n in 0..3 {
        run(
            database,
            &format!(
                "INSERT INTO payer_member (payer, person, from_day) VALUES ('steel', '{}', {from})",
                scene::person(n)
            ),
        )
        .await;
    }
    let (mut no, mut row) = (0_i64, 0_i64);
    let mut owed = [0_i64; 4];
    for ago in [70_i64, 45, 40, 21, 12, 9, 5, 3, 2, 1, 0] {
        for n in 0..4_u32 {
            let (service, _, _) = services[(no % 3) as usize];
            let person = scene::person(n);
            let gross = 35_000 + (no * 7 % 11) * 9_900;
            let discount = if no % 3 == 0 { gross / 20 } else { 0 };
            let net = gross - discount;
            no += 1;
            let at = now.0 - ago * DAY_MS - (no % 5) * HOUR_MS;
            let paid = match n {
                3 => net,
                _ if ago == 21 => net,
                _ => 0,
            };
            owed[n as usize] += net - paid;
            let (rate, scheme) = if discount > 0 { (500, "'loyal', 2") } else { (0, "NULL, NULL") };
            run(database, &format!("INSERT INTO charge (id, no, key, asked, patient, staff, zone, service, price_version, quantity, currency, gross_minor, discount_minor, net_minor, rate, scheme, scheme_version, before_minor, terms, terms_version, mode, pot, state, paid_minor, written_off_minor, actor_kind, registered_ms, day, rendered_ms, entry) VALUES ('c{no}', {no}, 'key-c{no}', 'x', '{person}', '{}', 'room-{}', '{service}', 1, 1, 'UAH', {gross}, {discount}, {net}, {rate}, {scheme}, 0, 'works', 1, 'postpaid', 'steel', 'rendered', {paid}, 0, 'system', {at}, {}, {at}, 1)", scene::person(n % 2), 101 + n % 3, today - ago)).await;
            row += 1;
            run(database, &format!("INSERT INTO ledger (no, entry, kind, at_ms, day, debit, credit, currency, minor, patient, charge, audit) VALUES ({row}, {row}, 'rendered', {at}, {}, 'owed', 'revenue', 'UAH', {net}, '{person}', 'c{no}', 1)", today - ago)).await;
            if discount > 0 {
                row += 1;
                run(database, &format!("INSERT INTO ledger (no, entry, kind, at_ms, day, debit, credit, currency, minor, patient, charge, audit) VALUES ({row}, {}, 'rendered', {at}, {}, 'discount', 'revenue', 'UAH', {discount}, '{person}', 'c{no}', 1)", row - 1, today - ago)).await;
            }
            if paid > 0 {
                row += 1;
                let method = if n == 3 { ("card", "card") } else { ("cash", "drawer") };
                run(database, &format!("INSERT INTO payment (id, no, key, asked, kind, method, state, patient, currency, minor, shift, actor_kind, begun_ms, done_ms, day) VALUES ('p{no}', {no}, 'key-p{no}', 'x', 'paid', '{}', 'done', '{person}', 'UAH', {paid}, 's1', 'account', {at}, {at}, {})", method.0, today - ago)).await;
                run(
                    database,
                    &format!("INSERT INTO payment_part (payment, charge, minor) VALUES ('p{no}', 'c{no}', {paid})"),
                )
                .await;
                run(database, &format!("INSERT INTO ledger (no, entry, kind, at_ms, day, debit, credit, currency, minor, patient, charge, payment, audit) VALUES ({row}, {row}, 'paid', {at}, {}, '{}', 'owed', 'UAH', {paid}, '{person}', 'c{no}', 'p{no}', 1)", today - ago, method.1)).await;
            }
        }
    }
    for (n, owed) in (0..).zip(owed) {
        run(database, &format!("INSERT INTO till_balance (person, currency, owed_minor, deposit_minor, held_minor, rendered_minor) VALUES ('{}', 'UAH', {owed}, 0, 0, 0)", scene::person(n))).await;
    }
    run(database, &format!("UPDATE counter SET value = {row} WHERE name = 'ledger'")).await;
}

/// An answer as the browser's own session gets it: status, kind, name, and the bytes.
async fn fetch(page: &Client, path: &str) -> (u64, String, String, Vec<u8>) {
    const SCRIPT: &str = "const [path, done] = arguments; fetch(path).then(async answer => { \
        const bytes = new Uint8Array(await answer.arrayBuffer()); let text = ''; \
        for (const byte of bytes) text += String.fromCharCode(byte); \
        done([answer.status, answer.headers.get('content-type'), answer.headers.get('content-disposition') + ' ' + \
              answer.headers.get('cache-control'), btoa(text)]) }, error => done([0, String(error), '', '']))";
    let answer = page.execute_async(SCRIPT, vec![path.into()]).await.unwrap();
    let text = |at: usize| answer[at].as_str().unwrap_or_default().to_owned();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text(3)).unwrap();
    (answer[0].as_u64().unwrap(), text(1), text(2), bytes)
}

/// A paper, read back.
async fn paper(page: &Client, path: &str, name: &str) -> String {
    let (status, kind, named, bytes) = fetch(page, path).await;
    assert_eq!((status, kind.as_str()), (200, "application/pdf"), "{path}");
    assert!(named.contains(&format!("filename=\"{name}.pdf\"")) && named.contains("no-store"), "{path}: {named}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("paper.pdf");
    std::fs::write(&file, &bytes).unwrap();
    if let Some(folder) = std::env::var_os("TAPWARD_SCREENS") {
        std::fs::write(Path::new(&folder).join(format!("{name}.pdf")), &bytes).unwrap();
    }
    let read = Command::new("pdftotext").args(["-layout", "-enc", "UTF-8"]).arg(&file).arg("-").output();
    let read = read.unwrap_or_else(|error| panic!("pdftotext: {error}; install it with `make prepare`"));
    String::from_utf8(read.stdout).unwrap().replace('\u{a0}', " ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_reads_the_figures_and_papers_are_printed() {
    let papers = PaperSettings {
        issuer: "Клиника на холме".to_owned(),
        foot: "12 Hill Street, 01001 Kyiv".to_owned(),
        on_roll: false,
    };
    let accounts = [("accountant", Shipped::Accountant, "Olena Bondar")];
    let stage = Stage::start(&accounts, TillSettings { papers, ..TillSettings::of(uah()) }).await;
    let browser = chromium::Browser::start(1280, 900).await;
    let page = browser.page();
    let open = async |path: &str| stage.go(page, path).await;
    let says = async |text: &str| has(page, text).await;
    stage.sign_in(page, "accountant").await;
    open("/till/revenue").await;
    says("Nothing here").await;
    let account: String = store::read!(stage.database, "test.account", |conn| {
        Ok(sqlx::query_scalar("SELECT id FROM account").fetch_one(&mut *conn).await?)
    })
    .unwrap();
    furnish(&stage, &account).await;

    open("/till/exposure").await;
    says("Steel works <script>alert(1)</script>").await;
    says("84 %").await;
    says("treatment must not be interrupted").await;
    picture(page, "till-exposure").await;
    open("/till/revenue?by=service").await;
    says("Ultrasound").await;
    picture(page, "till-revenue").await;
    for by in ["hour", "day", "staff", "room"] {
        open(&format!("/till/revenue?by={by}&from=2020-01-01&until=2029-01-01")).await;
        let expected = if by == "hour" || by == "day" {
            "return !!document.querySelector('svg.columns rect')"
        } else {
            "return !!document.querySelector('tfoot')"
        };
        chromium::until(page, by, expected).await;
        picture(page, &format!("till-revenue-{by}")).await;
    }
    open("/till/discounts-given").await;
    says("Loyal patients, version 2").await;
    says("5\u{a0}%").await;
    picture(page, "till-discounts").await;
    open("/till/ageing").await;
    says("31–90 days").await;
    picture(page, "till-ageing").await;
    let person = scene::person(0);
    open(&format!("/till/statements?of=patient&id={person}&from=2020-01-01&until=2029-01-01")).await;
    says("At the end").await;
    says("Blood count").await;
    picture(page, "till-statements").await;
    open("/till/statements?of=payer&id=nobody").await;
    says("There is no such patient, group, cashier or shift.").await;
    open("/till/statements?from=2029-01-01&until=2020-01-01").await;
    says("Choose fewer days").await;
    for (path, head) in [
        ("/till/statements.csv?from=2020-01-01&until=2029-01-01", "entry,at,day,kind"),
        ("/till/exposure.csv", "what,id,name"),
        ("/till/revenue.csv?by=hour", "by,key,name"),
        ("/till/discounts-given.csv", "scheme,name,version"),
        ("/till/ageing.csv", "what,id,name"),
    ] {
        let (status, kind, _, bytes) = fetch(page, path).await;
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!((status, kind.as_str()), (200, "text/csv; charset=utf-8"), "{path}");
        assert!(text.trim_start_matches('\u{feff}').starts_with(head) && text.lines().count() > 1, "{path}: {text}");
        assert!(!text.contains("Коваленко"), "{path}: no names");
    }

    // Papers: in the patient's language, with the name, and a file name that says nothing of anybody.
    let receipt = paper(page, "/till/payments/p4/receipt.pdf", "receipt-4").await;
    for words in ["Клиника на холме", "Квитанция 4", "script>alert(1)", "Оплачено", "12 Hill Street", "Страница 1 из 1"]
    {
        assert!(receipt.contains(words), "{words}: {receipt}");
    }
    let roll = paper(page, "/till/payments/p4/receipt.pdf?sheet=roll", "receipt-4").await;
    assert!(roll.contains("Квитанция 4") && !roll.contains("Страница"), "{roll}");
    let today = stage.till.today();
    let slip = paper(page, &format!("/till/patient/{person}/slip.pdf"), &format!("slip-{today}")).await;
    for words in ["Коваленко Олена", "Что сделано", "К оплате за оказанное", "Лимит последующей оплаты"]
    {
        assert!(slip.contains(words), "{words}: {slip}");
    }
    let path = format!("/till/patient/{person}/statement.pdf?from=2026-01-01&until={today}");
    let statement = paper(page, &path, &format!("statement-2026-01-01-{today}")).await;
    for words in ["Выписка", "Коваленко Олена", "На начало", "На конец", "УЗИ"] {
        assert!(statement.contains(words), "{words}: {statement}");
    }
    let all = "/till/statements.pdf?from=2026-01-01&until=2029-01-01";
    let book = paper(page, all, "statement-2026-01-01-2029-01-01").await;
    assert!(book.contains("Daybook of the clinic") && !book.contains("Коваленко"), "{book}");
    let day = paper(page, &format!("/till/days/{today}/closing.pdf"), &format!("day-{today}")).await;
    assert!(day.contains("not closed yet"), "{day}");
    for path in
        ["/till/payments/nothing/receipt.pdf", "/till/patient/nobody/slip.pdf", "/till/drawers/none/closing.pdf"]
    {
        assert_eq!(fetch(page, path).await.0, 404, "{path}");
    }

    page.set_window_size(360, 780).await.unwrap();
    for path in [
        "/till/exposure",
        "/till/revenue?by=day&from=2026-01-01&until=2029-01-01",
        "/till/discounts-given",
        "/till/ageing",
        "/till/statements?from=2026-01-01&until=2029-01-01",
    ] {
        open(path).await;
        chromium::until(page, path, "return !!document.querySelector('h1')").await;
        fits(page, path).await;
        picture(page, &format!("phone-{}", path.split(['/', '?']).nth(2).unwrap())).await;
    }
    browser.end().await;
    stage.end().await;
}
