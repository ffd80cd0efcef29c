//! A watched folder: each list is taken once it is not being written any more, and moved to `done`, `refused` or kept in
//! `held` until somebody allows it, with a report beside it that names rows and fields and nothing of what they hold.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clinic::acting::Acting;
use clinic::feeds::{FeedError, FeedKind, Feeds, Mode, Report, Source};
use domain::{Clock, UtcMillis};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::sheet::{FILE_MAX_BYTES, kind_of_file, read_sheet};

/// Most files looked at in one round; the rest wait for the next.
const FILES_MAX: usize = 1000;

/// How a folder is watched.
#[derive(Debug, Clone)]
pub struct FolderSettings {
    /// Where lists are put. `done`, `refused` and `held` are made in it.
    pub folder: PathBuf,
    /// How often it is looked at. 2 s.
    pub every: Duration,
    /// A file whose size and time have not changed for so long is complete. 3 s.
    pub settle: Duration,
    /// How often held lists are offered again, to be taken once somebody allowed them. 30 s.
    pub again: Duration,
}

impl FolderSettings {
    /// This folder, with the usual times.
    pub const fn new(folder: PathBuf) -> Self {
        let (every, settle, again) = (Duration::from_secs(2), Duration::from_secs(3), Duration::from_secs(30));
        Self { folder, every, settle, again }
    }
}

/// What a file looked like, and since when.
struct Seen {
    len: u64,
    changed: Option<SystemTime>,
    since: Instant,
}

/// Watches a folder until `stop`. Faults are logged once and tried again.
pub async fn read_folder(
    settings: FolderSettings,
    feeds: Feeds,
    source: Source,
    clock: Clock,
    stop: CancellationToken,
) {
    let mut watch =
        Watch { settings, acting: Acting::feed(&source), feeds, source, clock, seen: HashMap::new(), again: None };
    let mut is_failing = false;
    loop {
        match watch.round().await {
            Ok(()) => is_failing = false,
            Err(error) => {
                if !is_failing {
                    tracing::warn!(system = %watch.source, %error, "feeds.folder.failed");
                }
                is_failing = true;
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(watch.settings.every)).await.is_none() {
            return;
        }
    }
}

struct Watch {
    settings: FolderSettings,
    acting: Acting,
    feeds: Feeds,
    source: Source,
    clock: Clock,
    seen: HashMap<String, Seen>,
    /// When held lists are offered again.
    again: Option<Instant>,
}

/// What became of a file.
enum Fate {
    Done,
    Refused,
    Held,
    /// The database is away, or some records may be taken later: it stays.
    Later,
}

impl Watch {
    async fn round(&mut self) -> io::Result<()> {
        let root = self.settings.folder.clone();
        let mut files = list(&root).await?;
        files.truncate(FILES_MAX);
        self.seen.retain(|name, _| files.iter().any(|(known, ..)| known == name));
        for (name, len, changed) in files {
            let now = Instant::now();
            let seen = self.seen.entry(name.clone()).or_insert(Seen { len, changed, since: now });
            if (seen.len, seen.changed) != (len, changed) {
                *seen = Seen { len, changed, since: now };
            }
            if seen.since.elapsed() < self.settings.settle {
                continue;
            }
            if let Some((kind, mode)) = kind_of_file(&name) {
                self.take(&root.join(&name), &name, kind, mode).await?;
                self.seen.remove(&name);
            }
        }
        if self.again.is_none_or(|at| Instant::now() >= at) {
            self.again = Some(Instant::now() + self.settings.again);
            let held = root.join("held");
            for (name, ..) in list(&held).await.unwrap_or_default().into_iter().take(FILES_MAX) {
                // The time in front was added when it was put aside.
                let own = name.split_once('_').map_or(name.as_str(), |(_, own)| own).to_owned();
                if let Some((kind, mode)) = kind_of_file(&own) {
                    self.take(&held.join(&name), &own, kind, mode).await?;
                }
            }
        }
        Ok(())
    }

    async fn take(&self, path: &Path, name: &str, kind: FeedKind, mode: Mode) -> io::Result<()> {
        let (fate, words) = self.taken(path, kind, mode).await?;
        let folder = match fate {
            Fate::Later => return Ok(()),
            Fate::Done => "done",
            Fate::Refused => "refused",
            Fate::Held => "held",
        };
        let target = self.settings.folder.join(folder);
        if path.parent() == Some(target.as_path()) {
            return Ok(());
        }
        let stamp = self.clock.now().to_rfc3339().replace([':', '.'], "-");
        let (path, name) = (path.to_owned(), format!("{stamp}_{name}"));
        blocking(move || {
            std::fs::create_dir_all(&target)?;
            std::fs::write(target.join(format!("{name}.report.txt")), words)?;
            std::fs::rename(&path, target.join(&name))
        })
        .await
    }

    async fn taken(&self, path: &Path, kind: FeedKind, mode: Mode) -> io::Result<(Fate, String)> {
        let zone = self.feeds.settings().time_zone;
        let from = path.to_owned();
        let read = blocking(move || {
            if std::fs::metadata(&from)?.len() > FILE_MAX_BYTES {
                return Ok(Err(super::NotAList::TooLarge));
            }
            let bytes = std::fs::read(&from)?;
            Ok(read_sheet(kind, &bytes, mode, zone))
        })
        .await?;
        let list = match read {
            Ok(list) => list,
            Err(error) => {
                let told = self.feeds.note_pull(&self.acting, &self.source, kind, Err(error.to_string())).await;
                if told.is_err() {
                    return Ok((Fate::Later, String::new()));
                }
                return Ok((Fate::Refused, format!("Nothing was taken.\n{error}\n")));
            }
        };
        match self.feeds.take_list(&self.acting, &self.source, list).await {
            Ok(report) => {
                let fate = match &report {
                    Report { held: Some(_), .. } => Fate::Held,
                    report if report.refused.iter().any(|it| it.problem == clinic::feeds::Problem::VaultLocked) => {
                        Fate::Later
                    }
                    report if report.refusals() > 0 => Fate::Refused,
                    _ => Fate::Done,
                };
                Ok((fate, words(&report, self.clock.now())))
            }
            Err(FeedError::Store(error)) => {
                tracing::warn!(system = %self.source, %error, "feeds.folder.waits");
                Ok((Fate::Later, String::new()))
            }
            Err(error) => Ok((Fate::Refused, format!("Nothing was taken.\n{error}\n"))),
        }
    }
}

/// The report beside a list.
fn words(report: &Report, at: UtcMillis) -> String {
    let Report { added, changed, unchanged, older, ended, differences, .. } = report;
    let mut text = format!(
        "{at}\nadded {added}, changed {changed}, unchanged {unchanged}, older {older}, ended {ended}, \
         differences {differences}, refused {}\n",
        report.refusals()
    );
    if let Some(held) = &report.held {
        let _ = writeln!(
            text,
            "Nothing was taken: the list would end {} of {}. It waits for a person's word on the page of feeds (number {}).",
            held.would_end, held.of, held.id
        );
    }
    for refusal in &report.refused {
        let _ = writeln!(text, "row {}, {}: {}; {}", refusal.row, refusal.field, refusal.problem, refusal.words);
    }
    if report.more_refused > 0 {
        let _ = writeln!(text, "and {} more", report.more_refused);
    }
    text
}

/// Name, size and time of the files of a folder, by name.
async fn list(folder: &Path) -> io::Result<Vec<(String, u64, Option<SystemTime>)>> {
    let folder = folder.to_owned();
    blocking(move || {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Neither folders nor links out of the folder.
            let meta = std::fs::symlink_metadata(entry.path())?;
            if meta.is_file()
                && kind_of_file(name.split_once('_').map_or(&name, |(_, own)| own)).or(kind_of_file(&name)).is_some()
            {
                files.push((name, meta.len(), meta.modified().ok()));
            }
        }
        files.sort();
        Ok(files)
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(|_| io::Error::other("the program is stopping"))?
}
