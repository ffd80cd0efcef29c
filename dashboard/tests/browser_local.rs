//! The clinic's own key in a real browser: make it, register, search, reveal, photograph; another browser without the key
//! sees pseudonyms and with the key file names; what the server received, stored and answered holds no canary in any form;
//! an independent program opens the boxes; a change of the key goes on where it stopped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod chromium;
mod scene;

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clinic::accounts::{Accounts, SessionRules};
use clinic::vault::{Blobs, KeySource, Vault};
use dashboard::{Dashboard, Settings, TlsSource};
use domain::{Clock, Direction, Kind, PersonId, Reason, SiteId, UtcMillis};
use fantoccini::{Client, Locator};
use serde_json::{Value, json};
use store::{Database, read, sqlx};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "a quiet morning in Kyiv";
const PHRASE: &str = "five herons over Podil";
/// Names and numbers that must never be found outside a browser with the key.
const CANARIES: [&str; 5] = ["Канаренко", "Канарія", "CD 771177", "+380 67 555 01 99", "kanarka@example.org"];

/// One story at a time: three browsers at once are more than a small machine bears.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

struct Stage {
    folder: TempDir,
    database: Database,
    clock: Clock,
    address: SocketAddr,
    link: String,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
}

#[expect(clippy::disallowed_methods, reason = "a browser compares the server's clock with its own")]
fn wall() -> Clock {
    let begin = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let begin = i64::try_from(begin.as_millis()).unwrap();
    let since = tokio::time::Instant::now();
    Clock::new(move || UtcMillis(begin + i64::try_from(since.elapsed().as_millis()).unwrap()))
}

async fn stage() -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let database = scene::database(folder.path()).await;
    let clock = wall();
    scene::furnish(&database, clock.now()).await;
    let accounts =
        Accounts::new(database.clone(), clock.clone(), SessionRules::default(), "clinic-3", scene::accounts_key());
    let link = accounts.create_first_run_link().await.unwrap().unwrap().path();
    let settings = Settings {
        site: SiteId::new("clinic-3").unwrap(),
        time_zone: chrono_tz::Europe::Kyiv,
        language: "en".to_owned(),
        tls: TlsSource::Own { folder: folder.path().join("tls"), names: vec![] },
        sessions: SessionRules::default(),
        accounts_key: scene::accounts_key(),
        trusted_proxies: Vec::new(),
        desk: dashboard::DeskSettings::default(),
        till: dashboard::TillSettings::default(),
        retention: clinic::retention::Terms::default(),
    };
    let blobs = Blobs::folder(&folder.path().join("photos"));
    let vault = Vault::new(database.clone(), clock.clone(), blobs, KeySource::Workstation);
    let dashboard = Dashboard::new(settings, database.clone(), clock.clone(), vault);
    let shutdown = CancellationToken::new();
    let (ready, is_ready) = oneshot::channel();
    let ending = shutdown.clone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = tokio::spawn(async move { dashboard.serve(listener, ending, Some(ready)).await.unwrap() });
    let address = is_ready.await.unwrap();
    Stage { folder, database, clock, address, link, shutdown, server }
}

impl Stage {
    async fn open(&self, page: &Client, path: &str) {
        page.goto(&format!("https://{}{path}", self.address)).await.unwrap();
    }

    async fn first_sign_in(&self, page: &Client) {
        self.open(page, &self.link).await;
        for (field, text) in
            [("login", "olena.b"), ("shown_name", "Olena Bondar"), ("password", PASSWORD), ("again", PASSWORD)]
        {
            page.find(Locator::Id(field)).await.unwrap().send_keys(text).await.unwrap();
        }
        page.find(Locator::Css("button.primary")).await.unwrap().click().await.unwrap();
        chromium::until(page, "the live page", "return !!document.querySelector('[data-link-state=live]')").await;
    }

    async fn sign_in(&self, page: &Client) {
        self.open(page, "/").await;
        for (field, text) in [("login", "olena.b"), ("password", PASSWORD)] {
            page.find(Locator::Id(field)).await.unwrap().send_keys(text).await.unwrap();
        }
        page.find(Locator::Css("button.primary")).await.unwrap().click().await.unwrap();
        chromium::until(page, "the live page", "return !!document.querySelector('[data-link-state=live]')").await;
    }

    /// Makes a key as the page has it done, and saves its file.
    async fn make_key(&self, page: &Client, name: &str) -> PathBuf {
        self.open(page, "/vault/key").await;
        chromium::until(
            page,
            "the script",
            "return !document.querySelector('[data-sealed-holds]').textContent.includes('…')",
        )
        .await;
        // The browser's download is caught: what would become the file.
        run(page, "window.caught = null; const make = URL.createObjectURL; \
                   URL.createObjectURL = (blob) => { blob.text().then((text) => { window.caught = text; }); return make.call(URL, blob); };").await;
        for field in ["make-phrase", "make-again"] {
            page.find(Locator::Id(field)).await.unwrap().send_keys(PHRASE).await.unwrap();
        }
        page.find(Locator::Css("[data-sealed-make] button")).await.unwrap().click().await.unwrap();
        chromium::until(
            page,
            "the file",
            "return !!window.caught && !document.querySelector('[data-sealed-prove]').hidden",
        )
        .await;
        let text = run(page, "return window.caught").await;
        let file = self.folder.path().join(name);
        std::fs::write(&file, text.as_str().unwrap()).unwrap();
        page.find(Locator::Id("prove-file")).await.unwrap().send_keys(file.to_str().unwrap()).await.unwrap();
        page.find(Locator::Css("[data-sealed-prove] button")).await.unwrap().click().await.unwrap();
        let id: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        let seen = format!("return document.querySelector('[data-sealed-key]')?.dataset.current === {}", id["id"]);
        chromium::until(page, "the key in use", &seen).await;
        file
    }

    async fn load_key(&self, page: &Client, file: &Path, phrase: &str) -> String {
        self.open(page, "/vault/key").await;
        chromium::until(
            page,
            "the script",
            "return !document.querySelector('[data-sealed-holds]').textContent.includes('…')",
        )
        .await;
        page.find(Locator::Id("key-file")).await.unwrap().send_keys(file.to_str().unwrap()).await.unwrap();
        page.find(Locator::Id("key-phrase")).await.unwrap().send_keys(phrase).await.unwrap();
        page.find(Locator::Css("[data-sealed-load] button")).await.unwrap().click().await.unwrap();
        chromium::until(page, "an answer", "return !document.querySelector('[data-sealed-say]').hidden").await;
        run(page, "return document.querySelector('[data-sealed-say]').textContent").await.as_str().unwrap().to_owned()
    }

    /// The path of the person's page.
    async fn register(&self, page: &Client) -> String {
        self.open(page, "/sealed/new").await;
        chromium::until(page, "the script", "return document.querySelector('script[data-keys]') !== null").await;
        for rows in ["documents", "contacts", "contacts"] {
            let button = format!("[data-sealed-rows={rows}] > button");
            chromium::until(
                page,
                "a row",
                &format!(
                    "const rows = document.querySelectorAll('[data-sealed-rows={rows}] .sealed-row').length; \
                 document.querySelector('{button}').click(); \
                 return document.querySelectorAll('[data-sealed-rows={rows}] .sealed-row').length > rows"
                ),
            )
            .await;
        }
        let typed = json!({
            "#family": CANARIES[0], "#given": CANARIES[1], "#middle": "Іванівна", "#birth": "1987-04-21",
            "[data-sealed-rows=documents] .sealed-row input": CANARIES[2],
            "[data-sealed-rows=contacts] .sealed-row:nth-of-type(1) input": CANARIES[3],
            "[data-sealed-rows=contacts] .sealed-row:nth-of-type(2) input": CANARIES[4],
            "[data-sealed-rows=contacts] .sealed-row:nth-of-type(2) select": "email",
        });
        page.execute(
            "for (const [where, text] of Object.entries(arguments[0])) document.querySelector(where).value = text;",
            vec![typed],
        )
        .await
        .unwrap();
        page.find(Locator::Css("[data-sealed-edit] button.primary")).await.unwrap().click().await.unwrap();
        chromium::until(page, "the person", "return /^\\/sealed\\/[0-9a-f]{32}$/.test(location.pathname)").await;
        page.current_url().await.unwrap().path().to_owned()
    }

    /// Seals a name for somebody whom the server knows already, as the page of the person would.
    async fn name(&self, page: &Client, person: PersonId, family: &str) {
        let script = r#"
            const [person, family, done] = arguments;
            (async () => {
                const keys = await import(document.querySelector("script[data-keys]").dataset.keys);
                const [clinic] = await keys.kept(), own = await keys.newPersonKey(clinic, person), parts = {};
                const texts = { names: [family, "", ""], birth: [""], documents: [], contacts: [] };
                for (const [part, list] of Object.entries(texts)) {
                    parts[part] = keys.base64(await keys.seal(own.aes, own.id, ["passport", part, person], keys.pack(list)));
                }
                const tokens = await keys.tokensOf(clinic, { names: texts.names, documents: [], contacts: [] });
                const headers = { "content-type": "application/json", "x-tapward-form": document.querySelector("input[name=form]").value };
                const body = { person, wrapped: keys.base64(own.wrapped), parts, tokens, base: null, purpose: "pass_issue" };
                done((await fetch("/sealed/put", { method: "POST", headers, body: JSON.stringify(body) })).status);
            })().catch((error) => done(String(error)));"#;
        let answer = page.execute_async(script, vec![json!(person.to_string()), json!(family)]).await.unwrap();
        assert_eq!(answer, json!(200));
    }

    async fn search(&self, page: &Client, words: &str) {
        self.open(page, "/sealed").await;
        chromium::until(page, "the script", "return document.readyState === 'complete'").await;
        page.find(Locator::Id("words")).await.unwrap().send_keys(words).await.unwrap();
        // The script may not have taken the form over yet.
        chromium::until(page, "an answer", "const said = document.querySelector('[data-sealed-say]').textContent; \
            if (window.first === undefined) { window.first = said; } \
            if (said === window.first) { document.querySelector('[data-sealed-search] button:not([disabled])')?.click(); return false; } return true").await;
    }

    async fn picture(&self, page: &Client, name: &str) {
        if let Some(folder) = std::env::var_os("TAPWARD_SCREENS").map(PathBuf::from) {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(format!("{name}.png")), page.screenshot().await.unwrap()).unwrap();
        }
    }

    async fn count(&self, action: &str) -> i64 {
        let action = action.to_owned();
        read!(self.database, "test.count", |conn| {
            Ok(sqlx::query_scalar("SELECT COUNT(*) FROM audit_entry WHERE action = $1")
                .bind(&action)
                .fetch_one(&mut *conn)
                .await?)
        })
        .unwrap()
    }

    async fn end(self) -> TempDir {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(8), self.server).await.expect("an orderly end").unwrap();
        self.database.close().await;
        self.folder
    }
}

async fn run(page: &Client, script: &str) -> Value {
    page.execute(script, vec![]).await.unwrap()
}

/// Keeps what the script sends and receives, for the hunt: every request's address and body, every answer.
const WIRETAP: &str = "window.wire = JSON.parse(sessionStorage.getItem('wire') ?? '[]'); const real = window.fetch; \
    window.fetch = async (path, how) => { window.wire.push(String(path), String(how?.body ?? '')); const answer = await real(path, how); \
    window.wire.push(await answer.clone().text()); sessionStorage.setItem('wire', JSON.stringify(window.wire)); return answer; };";

/// The forms in which a text could hide.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let utf8 = text.as_bytes().to_vec();
    let hex: String = utf8.iter().map(|byte| format!("{byte:02x}")).collect();
    let wide = |little: bool| {
        text.encode_utf16().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
    };
    // Wherever the text begins, one of the three cuts of base64 holds its middle.
    let cuts = (0..3).map(|skip| {
        let whole = STANDARD.encode([&b"xxx"[..skip], &utf8].concat());
        whole.as_bytes()[if skip == 0 { 0 } else { 4 }..whole.len() - 4].to_vec()
    });
    let mut all = vec![utf8.clone(), hex.to_uppercase().into_bytes(), hex.into_bytes(), wide(true), wide(false)];
    all.extend(cuts);
    all
}

fn hunt(place: &str, bytes: &[u8]) {
    for canary in CANARIES {
        for form in forms(canary) {
            let found = bytes.windows(form.len()).any(|window| window == form);
            assert!(!found, "{canary:?} in {place}, as {:?}", String::from_utf8_lossy(&form));
        }
    }
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() { files(&entry.path(), into) } else { into.push(entry.path()) }
    }
}

/// A small picture of one colour, as a PNG file.
const PNG: &str = "data:image/png;base64,";

#[tokio::test(flavor = "multi_thread")]
async fn names_sealed_in_one_browser_are_read_in_another_only_with_the_key_and_never_by_the_server() {
    let _turn = TURN.lock().await;
    let stage = stage().await;
    let first = chromium::Browser::start(1280, 1000).await;
    let page = first.page();
    stage.first_sign_in(page).await;
    let file = stage.make_key(page, "clinic.key.json").await;
    stage.picture(page, "key").await;

    let path = stage.register(page).await;
    chromium::until(
        page,
        "the name",
        "return document.querySelector('[data-sealed-name]').textContent.startsWith('Канаренко')",
    )
    .await;
    assert_eq!(stage.count("person_changed").await, 1);
    assert_eq!(stage.count("person_revealed").await, 0);
    run(page, WIRETAP).await;
    page.find(Locator::Css("[data-sealed-reveal] button")).await.unwrap().click().await.unwrap();
    chromium::until(
        page,
        "the passport",
        "return document.querySelector('[data-sealed-facts]').textContent.includes('CD 771177')",
    )
    .await;
    assert_eq!(stage.count("person_revealed").await, 1);

    // A photograph: drawn, stripped and sealed by the browser; a mark in the file does not survive.
    let png = run(
        page,
        "const c = document.createElement('canvas'); c.width = 300; c.height = 400; const p = c.getContext('2d'); \
        p.fillStyle = '#b07040'; p.fillRect(0, 0, 300, 400); return c.toDataURL('image/png')",
    )
    .await;
    let mut bytes = STANDARD.decode(png.as_str().unwrap().strip_prefix(PNG).unwrap()).unwrap();
    bytes.extend_from_slice(CANARIES[0].as_bytes());
    let photo = stage.folder.path().join("photo.png");
    std::fs::write(&photo, bytes).unwrap();
    page.find(Locator::Id("picture")).await.unwrap().send_keys(photo.to_str().unwrap()).await.unwrap();
    page.find(Locator::Id("consent")).await.unwrap().click().await.unwrap();
    page.find(Locator::Css("[data-sealed-picture] button")).await.unwrap().click().await.unwrap();
    chromium::until(page, "the photograph", "const c = document.querySelector('[data-sealed-photo]'); const [r, g, b] = c.getContext('2d').getImageData(300, 400, 1, 1).data; \
        return 'drawn' in c.dataset && Math.abs(r - 0xb0) < 6 && Math.abs(g - 0x70) < 6 && Math.abs(b - 0x40) < 6").await;
    std::fs::remove_file(&photo).unwrap();
    stage.picture(page, "sealed-person").await;

    stage.search(page, "канар").await;
    chromium::until(page, "who was looked for", "return document.querySelector('[data-sealed-found] [data-name]')?.textContent === 'Канаренко Канарія Іванівна'").await;
    stage.picture(page, "sealed-people").await;
    let wire = run(page, "return sessionStorage.getItem('wire')").await;
    hunt("what the script sent and received", wire.as_str().unwrap().as_bytes());
    let kept = run(
        page,
        "return JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage), document.cookie])",
    )
    .await;
    hunt("the browser's storage", kept.as_str().unwrap().as_bytes());
    let key: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert!(key["key"].is_null() && key["kdf"]["iterations"] == 1_000_000, "the file is sealed with its passphrase");

    // Another workstation.
    let second = chromium::Browser::start(1280, 1000).await;
    let other = second.page();
    stage.sign_in(other).await;
    stage.open(other, &path).await;
    chromium::until(other, "what is missing", "return !document.querySelector('[data-sealed-nokey]').hidden").await;
    stage.picture(other, "sealed-without-key").await;
    hunt("the page without the key", other.source().await.unwrap().as_bytes());
    assert!(stage.load_key(other, &file, "five swans over Podil").await.contains("does not open"));
    assert!(stage.load_key(other, &file, PHRASE).await.contains("is loaded"));
    stage.open(other, &path).await;
    chromium::until(
        other,
        "the name",
        "return document.querySelector('[data-sealed-name]').textContent.startsWith('Канаренко')",
    )
    .await;
    // Signing out ends what was kept for the tab.
    run(other, "document.querySelector('form[action=\"/sign-out\"] button').click()").await;
    chromium::until(other, "the door", "return !!document.querySelector('#login')").await;
    stage.sign_in(other).await;
    stage.open(other, &path).await;
    chromium::until(other, "no key any more", "return document.querySelector('[data-sealed-nokey]')?.hidden === false")
        .await;
    second.end().await;

    interop(&stage, &file, &path).await;
    first.end().await;
    let folder = stage.end().await;
    let mut all = Vec::new();
    files(folder.path(), &mut all);
    let photos = folder.path().join("photos");
    assert_eq!(all.iter().filter(|file| file.starts_with(&photos)).count(), 2, "one photograph in two sizes: {all:?}");
    for file in all {
        hunt(&file.display().to_string(), &std::fs::read(&file).unwrap());
    }
}

/// An independent program, written from the document, opens what the browser sealed and computes the same hashes.
async fn interop(stage: &Stage, file: &Path, path: &str) {
    type Boxes = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, String);
    let person = path.rsplit('/').next().unwrap().to_owned();
    let row: Boxes = {
        let person = person.clone();
        read!(stage.database, "test.boxes", |conn| {
            Ok(sqlx::query_as(
                "SELECT wrapped_key, names, birth, documents, contacts, photo FROM passport WHERE person = $1",
            )
            .bind(&person)
            .fetch_one(&mut *conn)
            .await?)
        })
        .unwrap()
    };
    let tokens: Vec<i64> = read!(stage.database, "test.tokens", |conn| {
        Ok(sqlx::query_scalar("SELECT token FROM passport_token").fetch_all(&mut *conn).await?)
    })
    .unwrap();
    let [wrapped_key, names, birth, documents, contacts] =
        [row.0, row.1, row.2, row.3, row.4].map(|sealed| STANDARD.encode(sealed));
    let asked = json!({
        "file": std::fs::read_to_string(file).unwrap(), "passphrase": PHRASE, "person": person, "photo": row.5, "search": "канар",
        "boxes": { "wrapped_key": wrapped_key, "names": names, "birth": birth, "documents": documents, "contacts": contacts },
    });
    let python =
        PathBuf::from(std::env::var("TAPWARD_VENV").unwrap_or_else(|_| "../target/venv".to_owned())).join("bin/python");
    let mut process = Command::new(&python)
        .arg("tests/independent/local_keys.py")
        .arg("open")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} is missing ({error}): run `make prepare`", python.display()));
    process.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let answer = process.wait_with_output().unwrap();
    assert!(answer.status.success(), "the independent program failed: is `cryptography` there? run `make prepare`");
    let answer: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(answer["clear"]["names"], json!([CANARIES[0], CANARIES[1], "Іванівна"]));
    assert_eq!(answer["clear"]["birth"], json!(["1987-04-21"]));
    assert_eq!(answer["clear"]["documents"], json!(["passport", CANARIES[2], ""]));
    assert_eq!(answer["clear"]["contacts"], json!(["phone", CANARIES[3], "email", CANARIES[4]]));
    let mut stored: Vec<String> = tokens.iter().map(|token| format!("{token:016x}")).collect();
    stored.sort();
    assert_eq!(answer["tokens"], json!(stored));
    assert!(
        stored.contains(&answer["query"]["all"][0].as_str().unwrap().to_owned()),
        "what it looks for is in the index"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_keeps_to_the_vectors_and_a_list_of_200_people_opens_fast() {
    let _turn = TURN.lock().await;
    let stage = stage().await;
    let browser = chromium::Browser::start(1280, 1000).await;
    let page = browser.page();
    stage.first_sign_in(page).await;
    stage.open(page, "/vault/key").await;
    let script = r#"
        const [vectors, done] = [arguments[0], arguments[1]];
        (async () => {
            const keys = await import(document.querySelector("script[data-keys]").dataset.keys);
            const bytes = (text) => Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
            const wrong = [], same = (what, a, b) => { if (JSON.stringify(a) !== JSON.stringify(b)) wrong.push([what, a, b]); };
            const { key } = await keys.readKeyFile(vectors.file, vectors.passphrase);
            same("number", key.id, vectors.number);
            same("closed", [key.wrap.extractable, key.index.extractable], [false, false]);
            const own = await keys.personKey([key], vectors.person, bytes(vectors.wrapped));
            for (const [part, texts] of Object.entries(vectors.parts)) {
                same(part, keys.hex(keys.pack(texts)), vectors.packed[part]);
                same(part, keys.unpack(await keys.open(own.aes, null, ["passport", part, vectors.person], bytes(vectors.boxes[part])), 1), texts);
                const altered = bytes(vectors.boxes[part]); altered[30] ^= 1;
                same("altered", await keys.open(own.aes, null, ["passport", part, vectors.person], altered).catch((error) => error.code), "altered");
                same("moved", await keys.open(own.aes, null, ["passport", part, "0".repeat(32)], bytes(vectors.boxes[part])).catch((error) => error.code), "altered");
            }
            for (const [typed, spelled] of vectors.words) same(typed, keys.normalisedWords(typed), spelled);
            for (const [typed, asked] of vectors.queries) same(typed, await keys.query(key, typed), asked);
            const [d, c] = [vectors.parts.documents, vectors.parts.contacts];
            const passport = { names: vectors.parts.names, documents: [{ number: d[1] }, { number: d[4] }],
                contacts: [0, 2, 4].map((at) => ({ kind: c[at], value: c[at + 1] })) };
            same("tokens", await keys.tokensOf(key, passport), vectors.tokens);
            same("wrong phrase", await keys.readKeyFile(vectors.file, "other").catch((error) => error.code), "wrong_passphrase");
            same("no phrase", await keys.readKeyFile(vectors.file, "").catch((error) => error.code), "passphrase");
            const other = (await keys.makeKeyFile("s", "2026-11-22", "")).key;
            same("another key", await keys.personKey([other], vectors.person, bytes(vectors.wrapped)).catch((error) => error.code), "other_key");
            // Two hundred people, each with a key of their own.
            const people = await Promise.all(Array.from({ length: 200 }, async (_, at) => {
                const person = at.toString(16).padStart(32, "0"), own = await keys.newPersonKey(key, person);
                return { person, wrapped: own.wrapped, names: await keys.seal(own.aes, own.id, ["passport", "names", person], keys.pack(["Name" + at, "Given", ""])) };
            }));
            const begin = performance.now();
            const names = await Promise.all(people.map(async ({ person, wrapped, names }) => {
                const own = await keys.personKey([key], person, wrapped);
                return keys.unpack(await keys.open(own.aes, null, ["passport", "names", person], names), 3)[0];
            }));
            const took = performance.now() - begin;
            same("names", names[199], "Name199");
            done({ wrong, took });
        })().catch((error) => done({ wrong: [String(error), error.stack] }));"#;
    let vectors: Value = serde_json::from_str(include_str!("vectors/local-keys.json")).unwrap();
    let answer = page.execute_async(script, vec![vectors]).await.unwrap();
    assert_eq!(answer["wrong"], json!([]), "{answer}");
    println!("200 names opened in {} ms", answer["took"]);
    browser.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_post_is_named_by_the_browser_and_a_change_of_the_key_goes_to_its_end() {
    let _turn = TURN.lock().await;
    let stage = stage().await;
    let browser = chromium::Browser::start(1280, 1000).await;
    let page = browser.page();
    stage.first_sign_in(page).await;
    let first = stage.make_key(page, "first.key.json").await;
    stage.name(page, scene::person(5), "Bondarenko").await;
    stage.name(page, scene::person(6), "Melnychuk").await;

    stage.open(page, "/live").await;
    chromium::until(page, "the live page", "return !!document.querySelector('[data-link-state=live]')").await;
    let now = stage.clock.now();
    let tap = scene::fact(now, Kind::Granted, "turnstile-1", Direction::In, Some(5), Some(Reason::Allowed));
    scene::Recorder::new(&stage.database).record(vec![tap]).await;
    chromium::until(
        page,
        "the name in the list",
        "return document.querySelector('[data-feed] [data-named]')?.textContent === 'Bondarenko'",
    )
    .await;
    chromium::until(
        page,
        "the name in the banner",
        "return document.querySelector('[data-now] [data-named]')?.textContent === 'Bondarenko'",
    )
    .await;
    assert_eq!(stage.count("person_seen").await, 1, "one look in ten minutes");
    stage.picture(page, "sealed-live").await;

    let second = stage.make_key(page, "second.key.json").await;
    chromium::until(page, "both keys", "return !document.querySelector('[data-sealed-changing]').hidden").await;
    stage.picture(page, "key-changing").await;
    page.find(Locator::Css("[data-sealed-change]")).await.unwrap().click().await.unwrap();
    chromium::until(page, "the end", "const key = document.querySelector('[data-sealed-key]'); return key?.dataset.former === '' && key.dataset.sealed === '2'").await;
    stage.picture(page, "key-changed").await;
    // Only the new key from here on: the old one opens nothing any more.
    run(page, "document.querySelector('[data-sealed-forget]').click()").await;
    chromium::until(
        page,
        "no key",
        "return document.querySelector('[data-sealed-holds]').textContent.includes('No key')",
    )
    .await;
    let said = stage.load_key(page, &first, PHRASE).await;
    assert!(said.contains("not the one"), "{said}");
    let said = stage.load_key(page, &second, PHRASE).await;
    assert!(said.contains("is loaded"), "{said}");
    stage.search(page, "melny").await;
    chromium::until(
        page,
        "who was looked for",
        "return document.querySelector('[data-sealed-found] [data-name]')?.textContent === 'Melnychuk'",
    )
    .await;
    browser.end().await;
    stage.end().await;
}
