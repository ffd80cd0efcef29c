//! Canaries: a person with a name, papers, telephone and card that occur nowhere else goes through a whole installation:
//! three programs at their most talkative, a broker, a mail server, pages in a browser. Afterwards everything that they
//! wrote, sent or said is searched for the canaries in every form. They may stand on the pages of who may see them, and
//! nowhere else.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

#[path = "canaries/ears.rs"]
mod ears;
#[path = "canaries/forms.rs"]
mod forms;

#[path = "../../dashboard/tests/chromium/mod.rs"]
mod chromium;
mod installation;

use std::path::{Path, PathBuf};

use bus::testing::Mosquitto;
use chromium::{Browser, until};
use controller_sim::Outcome;
use domain::card::{self, CardFormat};
use ears::Heard;
use fantoccini::{Client, Locator};
use forms::Hunter;
use installation::*;

const PASSWORD: &str = "a quiet morning in Kyiv";
const FAMILY: &str = "Кравчинська-Зозуля";
const GIVEN: &str = "Ярополкія";
const MIDDLE: &str = "Всеславівна";
const BIRTH_DATE: &str = "1903-02-17";
const PHONE: &str = "+380 44 918 27 36 45";
const PHONE_DIGITS: &str = "380449182736 45";
const EMAIL: &str = "yaropolkia.zozulya@canary.example";
const DOCUMENT: &str = "ЮЯ 907163524";
/// The shown name of the administrator: staff are people too.
const STAFF: &str = "Добромисла Щукіна-Перепелиця";
/// In the photograph's comment, as cameras write the place.
const IN_PHOTO: &str = "GPS 50.4501 canary 30.5234";
const CARD: &str = "04C4B1A29387D6";

#[tokio::test(flavor = "multi_thread")]
async fn no_name_paper_telephone_or_card_number_is_where_it_must_not_be_with_sqlite() {
    let site = furnish("").await;
    live_and_search(site, Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_paper_telephone_or_card_number_is_where_it_must_not_be_with_postgresql() {
    let url = tokio::task::spawn_blocking(store::testing::postgres_url).await.unwrap();
    let folder = PathBuf::from(url.split_once("?host=").expect("a server by its socket").1);
    let mut site = furnish(&format!("[database]\nurl = \"{url}\"\n")).await;
    site.site.database = url;
    live_and_search(site, vec![folder.join("data")]).await;
}

/// An installation with ears.
struct Furnished {
    site: Site,
    _broker: Mosquitto,
    bus: Heard,
    mail: Heard,
    port: u16,
}

async fn furnish(database: &str) -> Furnished {
    let broker = tokio::task::spawn_blocking(|| Mosquitto::new(&bus::testing::Config::default())).await.unwrap();
    let (bus_port, bus) = ears::wire_tap(broker.port()).await;
    let (mail_port, mail) = ears::mail_server().await;
    let port = free_port();
    let more = format!(
        "{database}[bus]\nurl = \"mqtt://127.0.0.1:{bus_port}\"\ncommand_key = \"file:keys/bus\"\n\
         [mail]\nserver = \"127.0.0.1\"\nport = {mail_port}\nsecurity = \"plain\"\nfrom = \"tapward@clinic.example\"\n\
         [audit]\nheads = [\"heads.jsonl\"]\n"
    );
    let site = Site::new(&more).await;
    site.edit(|text| text.replace("127.0.0.1:0", &format!("127.0.0.1:{port}")));
    let mut key = [0; 32];
    getrandom::fill(&mut key).unwrap();
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    write_secret(&site.folder.path().join("keys/bus"), &digits);
    Furnished { site, _broker: broker, bus, mail, port }
}

async fn live_and_search(furnished: Furnished, more_folders: Vec<PathBuf>) {
    let Furnished { site, bus, mail, port, .. } = &furnished;
    let sheet = site.folder.path().join("people.csv");
    let columns = "person,kind,category,card_format,card_number,valid_from,valid_until,family,given,middle,birth_date,phone,email,document";
    let row = format!(
        "R-7719,staff,nurse,uid_hex,{CARD},,,{FAMILY},{GIVEN},{MIDDLE},{BIRTH_DATE},{PHONE},{EMAIL},{DOCUMENT}"
    );
    std::fs::write(&sheet, format!("{columns}\n{row}\n")).unwrap();
    let mut said = Vec::new();
    let mut ask = |words: &[&str]| {
        let output = site.tapward(words);
        said.extend([output.stdout, output.stderr].concat());
        output.status.success()
    };
    assert!(
        ask(&["people", "import", sheet.to_str().unwrap(), "--log", "trace"]),
        "{}",
        String::from_utf8_lossy(&said)
    );
    std::fs::remove_file(&sheet).unwrap();

    let loud = || {
        let mut command = tapward();
        command.env("TAPWARD_LOG", "trace");
        command
    };
    let bridge = Program::run(loud(), &site.config(), "bridge");
    let gateway = Program::run(loud(), &site.config(), "gateway");
    let mut pages = Program::run(loud(), &site.config(), "dashboard");
    let address = pages.line("Tapward is at").await;
    let link = pages.line("First sign-in, once, within 24 hours:").await;
    assert!(address.ends_with(&port.to_string()), "{address}");
    site.secure().await;

    let browser = Browser::start(1280, 1000).await;
    let page = browser.page();
    let mut urls = Urls::default();
    first_sign_in(page, &link).await;
    urls.note(page).await;
    let card = card::parse(CardFormat::UidHex, CARD).unwrap();
    site.tap_until("west-1-in", &card, Outcome::Passed).await;
    until(page, "the name at the post", &format!("return document.body.innerText.includes('{FAMILY}')")).await;
    urls.note(page).await;
    look_at_person(page, &address, &mut urls).await;
    for place in ["/journal", "/people", "/audit", "/accounts", "/me", "/devices", "/no-such-page?q=1"] {
        page.goto(&format!("{address}{place}")).await.unwrap();
        urls.note(page).await;
    }
    browser.end().await;
    ask(&["people", "list", "--json"]);
    ask(&["journal", "tail", "--json"]);
    ask(&["audit", "verify"]);
    pages.stop().await;
    gateway.stop().await;
    bridge.stop().await;

    let mut places: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    collect(site.folder.path(), &mut places);
    for folder in &more_folders {
        collect(folder, &mut places);
    }
    // The simulator's own record of what it tapped stands outside the product.
    places.retain(|(path, _)| !path.ends_with("taps.jsonl"));
    for name in ["journal.db", "policy.bin", "log.txt", "heads.jsonl"] {
        assert!(places.iter().any(|(path, _)| path.ends_with(name)), "{name} is not among the files");
    }
    assert!(places.iter().any(|(path, _)| path.to_string_lossy().contains("/photos/")), "a photograph is stored");
    assert!(bus.take().len() > 1000, "the wire tap heard something");
    places.push(("the bus".into(), bus.take()));
    places.push(("the mail".into(), mail.take()));
    places.push(("addresses asked for".into(), urls.0.join("\n").into_bytes()));
    places.push(("what was said".into(), said));
    assert!(urls.0.len() > 20, "addresses were noted: {:?}", urls.0);
    search(&places);
    let total: usize = places.iter().map(|(_, bytes)| bytes.len()).sum();
    println!("{} places with {total} bytes: no canary", places.len());
    furnished.site.simulator.stop().await;
}

fn search(places: &[(PathBuf, Vec<u8>)]) {
    let hunter = Hunter::new(&[
        FAMILY,
        "Зозуля",
        GIVEN,
        MIDDLE,
        BIRTH_DATE,
        PHONE,
        &PHONE_DIGITS.replace(' ', ""),
        &PHONE.replace(' ', ""),
        EMAIL,
        DOCUMENT,
        "907163524",
        STAFF,
        "Щукіна-Перепелиця",
        IN_PHOTO,
        CARD,
        PASSWORD,
    ]);
    let mut found = Vec::new();
    for (path, bytes) in places {
        for (secret, form, at) in hunter.find(bytes) {
            let near = &bytes[at.saturating_sub(40)..(at + 60).min(bytes.len())];
            found.push(format!("{}: {secret} ({form}) at {at}: {:?}", path.display(), String::from_utf8_lossy(near)));
        }
    }
    assert!(found.is_empty(), "{} canaries, such as\n{}", found.len(), found[..found.len().min(12)].join("\n"));
}

/// Finds the person, opens the page, unmasks everything, gives a photograph.
async fn look_at_person(page: &Client, address: &str, urls: &mut Urls) {
    page.goto(&format!("{address}/people")).await.unwrap();
    page.find(Locator::Id("words")).await.unwrap().send_keys(FAMILY).await.unwrap();
    choose(page, "purpose", "incident").await;
    page.find(Locator::Css("form.seek button.primary")).await.unwrap().click().await.unwrap();
    until(page, "the person found", "return !!document.querySelector('a.person-name')").await;
    urls.note(page).await;
    page.find(Locator::Css("a.person-name")).await.unwrap().click().await.unwrap();
    until(page, "the person's page", "return !!document.querySelector('form.unmask')").await;
    urls.note(page).await;
    let own = page.current_url().await.unwrap().to_string();
    choose(page, "purpose", "incident").await;
    page.find(Locator::Css("button[value=all]")).await.unwrap().click().await.unwrap();
    until(page, "everything unmasked", "return document.body.innerText.includes('907163524')").await;
    urls.note(page).await;
    give_photo(page, &own).await;
    urls.note(page).await;
}

async fn choose(page: &Client, field: &str, code: &str) {
    let script = format!("document.getElementById('{field}').value = '{code}'; return 1");
    page.execute(&script, vec![]).await.unwrap();
}

/// A JPEG whose comment says where it was taken, by the form of the person's photograph.
async fn give_photo(page: &Client, person: &str) {
    page.goto(&format!("{}/photo", person.split('?').next().unwrap())).await.unwrap();
    let file = tempfile::Builder::new().suffix(".jpg").tempfile().unwrap();
    std::fs::write(file.path(), photograph()).unwrap();
    page.find(Locator::Css("input[type=file]")).await.unwrap().send_keys(file.path().to_str().unwrap()).await.unwrap();
    page.execute(
        "document.querySelectorAll('input[type=checkbox]').forEach(box => { box.checked = true }); return 1",
        vec![],
    )
    .await
    .unwrap();
    page.find(Locator::Css("form[enctype] button.primary")).await.unwrap().click().await.unwrap();
    until(page, "the photograph", "return !!document.querySelector('.whois-photo img')").await;
}

/// A picture with a comment segment.
fn photograph() -> Vec<u8> {
    let mut picture = image::RgbImage::new(600, 800);
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        *pixel = image::Rgb([(x % 256) as u8, (y % 256) as u8, 90]);
    }
    let mut jpeg = Vec::new();
    picture.write_to(&mut std::io::Cursor::new(&mut jpeg), image::ImageFormat::Jpeg).unwrap();
    let mut comment = vec![0xFF, 0xFE];
    comment.extend(u16::try_from(IN_PHOTO.len() + 2).unwrap().to_be_bytes());
    comment.extend(IN_PHOTO.as_bytes());
    jpeg.splice(2..2, comment);
    jpeg
}

/// Every address that the browser asked for.
#[derive(Default)]
struct Urls(Vec<String>);

impl Urls {
    async fn note(&mut self, page: &Client) {
        self.0.push(page.current_url().await.unwrap().to_string());
        let names = "return performance.getEntries().map(entry => entry.name)";
        let more: Vec<String> = serde_json::from_value(page.execute(names, vec![]).await.unwrap()).unwrap();
        self.0.extend(more);
    }
}

async fn first_sign_in(page: &Client, link: &str) {
    page.goto(link).await.unwrap();
    for (field, text) in [("login", "olena.b"), ("shown_name", STAFF), ("password", PASSWORD), ("again", PASSWORD)] {
        page.find(Locator::Id(field)).await.unwrap().send_keys(text).await.unwrap();
    }
    page.find(Locator::Css("button.primary")).await.unwrap().click().await.unwrap();
    until(page, "the live page", "return !!document.querySelector('[data-link-state=live]')").await;
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match (path.is_dir(), std::fs::metadata(&path)) {
            (true, _) => collect(&path, files),
            (false, Ok(meta)) if meta.is_file() => files.push((path.clone(), std::fs::read(&path).unwrap())),
            (false, _) => {}
        }
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
