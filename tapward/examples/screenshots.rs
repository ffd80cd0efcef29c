//! Takes the pictures of README and guides: starts `tapward demo` in a temporary folder, signs in by the first-run
//! link with a real Chromium, waits until the clinic is alive, and writes one PNG a page. Run by `make screenshots`.
#![expect(clippy::print_stdout, reason = "tells which pictures it wrote")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tokio::time::{Instant, sleep};

/// Width and height of a picture: what the page has, without the browser's own frame.
const PICTURE: (u32, u32) = (1280, 800);
/// How long the demo may take to show what a picture needs.
const ALIVE_WITHIN: Duration = Duration::from_secs(120);
/// Largest picture that goes into the repository.
const PICTURE_MAX_BYTES: usize = 300_000;
/// A password for an account that lives as long as this program.
const PASSWORD: &str = "pictures of a quiet morning";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let into = PathBuf::from(std::env::args().nth(1).context("say where the pictures go: screenshots FOLDER")?);
    std::fs::create_dir_all(&into)?;
    let folder = tempfile::Builder::new().prefix("clinic-").tempdir()?;
    let demo = Demo::start(folder.path())?;
    let browser = Browser::start(folder.path()).await?;
    let taken = take(&browser.client, &demo.link, &into).await;
    browser.client.clone().close().await?;
    taken
}

async fn take(page: &Client, link: &str, into: &Path) -> anyhow::Result<()> {
    let (address, _) = link.split_once("/welcome/").context("the first-run link has another form")?;
    page.goto(link).await?;
    for (field, text) in [("login", "anna"), ("shown_name", "Anna"), ("password", PASSWORD), ("again", PASSWORD)] {
        page.find(Locator::Id(field)).await?.send_keys(text).await?;
    }
    page.find(Locator::Css("form button.primary")).await?.click().await?;
    until(page, "the sign-in", "return !location.pathname.startsWith('/welcome')").await?;

    fit(page).await?;
    page.goto(&format!("{address}/live")).await?;
    let alive = "return document.querySelectorAll('[data-feed] tr').length >= 12 && \
                 /refused/i.test(document.querySelector('[data-now]').innerText)";
    until(page, "passages and a refusal on the live page", alive).await?;
    picture(page, into, "live").await?;
    page.goto(&format!("{address}/devices")).await?;
    until(page, "secured readers", "return /secured/i.test(document.body.innerText)").await?;
    picture(page, into, "doors").await?;
    let connected = "const rows = [...document.querySelectorAll('table.peers tbody tr')]; return rows.length > 0 && rows.every(row => row.innerText.includes('connected') && !row.innerText.includes('not connected'))";
    until(page, "controllers and systems", connected).await?;
    page.execute("document.querySelector('table.peers').closest('section').scrollIntoView(); return 1", vec![]).await?;
    picture(page, into, "controllers").await?;
    page.goto(&format!("{address}/journal")).await?;
    until(page, "entries", "return document.querySelectorAll('tbody tr').length >= 10").await?;
    picture(page, into, "journal").await
}

/// Makes the window so large that the page has the size of a picture.
async fn fit(page: &Client) -> anyhow::Result<()> {
    let frame = page.execute("return [outerWidth - innerWidth, outerHeight - innerHeight]", vec![]).await?;
    let frame =
        |index: usize| frame.get(index).and_then(|size| size.as_u64()).and_then(|size| u32::try_from(size).ok());
    let (Some(width), Some(height)) = (frame(0), frame(1)) else { bail!("the browser does not say its size") };
    Ok(page.set_window_size(PICTURE.0 + width, PICTURE.1 + height).await?)
}

async fn picture(page: &Client, into: &Path, name: &str) -> anyhow::Result<()> {
    let png = page.screenshot().await?;
    let path = into.join(format!("{name}.png"));
    ensure!(png.len() < PICTURE_MAX_BYTES, "{name}: {} bytes are too many for the repository", png.len());
    std::fs::write(&path, &png).with_context(|| path.display().to_string())?;
    println!("{} ({} KB)", path.display(), png.len() / 1000);
    Ok(())
}

/// Asks the page until the script's answer is true.
async fn until(page: &Client, what: &str, script: &str) -> anyhow::Result<()> {
    let end = Instant::now() + ALIVE_WITHIN;
    while Instant::now() < end {
        // While one page is exchanged for another a script may find neither.
        if page.execute(script, vec![]).await.is_ok_and(|answer| answer.as_bool() == Some(true)) {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    bail!("{what}: not seen within {} s", ALIVE_WITHIN.as_secs())
}

struct Demo {
    process: Child,
    link: String,
}

impl Demo {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        // This program stands in target/PROFILE/examples.
        let beside = std::env::current_exe()?;
        let program = beside.parent().and_then(Path::parent).context("where am I?")?.join("tapward");
        let mut process = Command::new(&program)
            .args(["--log", "warn", "demo", "--listen", "127.0.0.1:0", "--speed", "6", "--folder"])
            .arg(folder.join("demo"))
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start; build it first", program.display()))?;
        let link = first_line(&mut process, |line| {
            line.starts_with("First sign-in").then(|| line.split(' ').next_back().map(str::to_owned)).flatten()
        });
        Ok(Self { process, link: link.context("the demo ended without a sign-in link")? })
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

struct Browser {
    driver: Child,
    client: Client,
}

impl Browser {
    async fn start(folder: &Path) -> anyhow::Result<Self> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("LANGUAGE", "en_GB")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("chromedriver is missing: run `make prepare`")?;
        let port = first_line(&mut driver, |line| {
            line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse::<u16>().ok()
        });
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--ignore-certificate-errors",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            // No row is caught while it slides in; dates as in Europe.
            "--force-prefers-reduced-motion",
            "--lang=en-GB",
            "--disable-dev-shm-usage",
        ];
        let mut arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        arguments.push(format!("--window-size={},{}", PICTURE.0, PICTURE.1));
        arguments.push(format!("--user-data-dir={}", folder.join("browser").display()));
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("acceptInsecureCerts".to_owned(), json!(true));
        capabilities.insert("goog:chromeOptions".to_owned(), json!({ "args": arguments }));
        let address = format!("http://127.0.0.1:{}", port.context("chromedriver does not say its port")?);
        let client = ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(&address).await;
        match client {
            Ok(client) => Ok(Self { driver, client }),
            Err(error) => {
                end(&mut driver);
                bail!("Chromium does not start ({error}): run `make prepare`")
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        end(&mut self.driver);
    }
}

/// The first line of a process's output that means something; the rest is read and forgotten, so that the process
/// never waits at a full pipe.
fn first_line<T>(process: &mut Child, meaning: impl Fn(&str) -> Option<T>) -> Option<T> {
    let mut lines = BufReader::new(process.stdout.take()?).lines().map_while(Result::ok);
    let found = lines.find_map(|line| meaning(&line));
    std::thread::spawn(move || lines.for_each(drop));
    found
}

fn end(process: &mut Child) {
    // It may have ended by itself.
    let _ = process.kill();
    let _ = process.wait();
}
