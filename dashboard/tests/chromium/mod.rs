//! A private Chromium for tests: its driver on a free port, its profile in a temporary folder. Missing programs fail
//! the test by name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]
#![allow(dead_code, reason = "each test uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tempfile::TempDir;

const START_WITHIN: Duration = Duration::from_secs(30);
const END_WITHIN: Duration = Duration::from_secs(10);
const SEEN_WITHIN: Duration = Duration::from_secs(30);

/// The driver's process; ends with its owner, and its browser before it.
struct Driver {
    process: Child,
    port: u16,
    session: Option<String>,
}

impl Drop for Driver {
    /// Also when a test fails: a browser whose driver is only killed would live on.
    fn drop(&mut self) {
        if let Some(session) = &self.session
            && let Ok(mut line) = TcpStream::connect(("127.0.0.1", self.port))
        {
            let _ = line.set_read_timeout(Some(END_WITHIN));
            let _ = write!(line, "DELETE /session/{session} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n");
            let _ = line.read(&mut [0; 512]);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub struct Browser {
    client: Client,
    _driver: Driver,
    _profile: TempDir,
}

impl Browser {
    /// With a window of this inner size; below 500 pixels it is a phone.
    pub async fn start(width: u32, height: u32) -> Self {
        Self::speaking("en", width, height).await
    }

    /// The same of somebody who reads this language.
    pub async fn speaking(language: &str, width: u32, height: u32) -> Self {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("chromedriver is missing ({error}): run `make prepare`"));
        let output = process.stdout.take().unwrap();
        let mut driver = Driver { process, port: 0, session: None };
        let port = tokio::task::spawn_blocking(move || {
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            let port = lines
                .find_map(|line| line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse::<u16>().ok());
            // The rest of what it says must be read, or it would stop at a full pipe.
            std::thread::spawn(move || lines.for_each(drop));
            port
        });
        let port = tokio::time::timeout(START_WITHIN, port).await.expect("chromedriver starts").unwrap();
        let port = port.expect("chromedriver says its port");
        driver.port = port;
        let profile = tempfile::tempdir().unwrap();
        let mut options = json!({ "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--ignore-certificate-errors", "--hide-scrollbars", "--force-device-scale-factor=1",
            "--disable-dev-shm-usage", format!("--accept-lang={language}"), format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", profile.path().display()),
        ]});
        if width < 500 {
            options["mobileEmulation"] =
                json!({ "deviceMetrics": { "width": width, "height": height, "pixelRatio": 2.0 } });
        }
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("acceptInsecureCerts".to_owned(), json!(true));
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap_or_else(|error| panic!("Chromium does not start ({error}): run `make prepare`"));
        driver.session = client.session_id().await.unwrap();
        Self { client, _driver: driver, _profile: profile }
    }

    pub fn page(&self) -> &Client {
        &self.client
    }

    #[expect(clippy::unused_async, reason = "called where tests await")]
    pub async fn end(self) {
        // The rest is the driver's own end.
        drop(self);
    }
}

/// Asks the page again and again until the script's answer is true.
pub async fn until(page: &Client, what: &str, script: &str) {
    let end = tokio::time::Instant::now() + SEEN_WITHIN;
    loop {
        // While a page is being exchanged for another one a script may find neither.
        let answer = page.execute(script, vec![]).await;
        if answer.as_ref().is_ok_and(|answer| answer.as_bool() == Some(true)) {
            return;
        }
        if tokio::time::Instant::now() > end {
            let text = page.execute("return document.title + '\\n' + document.body.innerText", vec![]).await;
            panic!("{what}: not seen ({answer:?}) on {text:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Presses an element as soon as it is there and nothing lies over it, in one step of the page: what is drawn anew between
/// looking and pressing cannot come in between.
pub async fn click(page: &Client, what: &str) {
    let script = format!(
        "const it = document.querySelector({}); if (!it || it.disabled) return false; \
         it.scrollIntoView({{ block: 'center', behavior: 'instant' }}); const at = it.getBoundingClientRect(); \
         const top = document.elementFromPoint(at.left + at.width / 2, at.top + at.height / 2); \
         if (top !== it && !it.contains(top)) return false; \
         it.focus(); it.click(); return true",
        json!(what)
    );
    until(page, &format!("{what} to press"), &script).await;
}

/// Types at a keyboard: to whatever has the focus then, as a page's own script may put another field under the hands.
/// `\u{e007}` is Enter.
pub async fn keys(page: &Client, text: &str) {
    let pressed = text.chars().fold(KeyActions::new("keyboard".to_owned()), |keys, letter| {
        keys.then(KeyAction::Down { value: letter }).then(KeyAction::Up { value: letter })
    });
    page.perform_actions(pressed).await.unwrap();
}

/// Waits until the page says all of it; spaces that do not break are spaces.
pub async fn shows(page: &Client, words: &[&str]) {
    let script = format!(
        "const said = document.body.innerText.replace(/[\\s\\u00a0]+/g, ' '); \
         return {}.every((words) => said.includes(words))",
        json!(words)
    );
    until(page, &format!("{words:?}"), &script).await;
}
