//! The file of a second place: one signed head a line, only ever appended to. Blocking; run where blocking is allowed.
//!
//! A line that was torn by a crash or a full disk is completed, never written twice.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use domain::SiteId;

/// How much of the end of the file is read to find its last line, in bytes; a line has less than 512.
const TAIL_BYTES: u64 = 2048;

/// What a second place answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has the news now.
    Told,
    /// It holds nothing, though it was told something before.
    Emptied,
    /// It ends with this line instead.
    Other(String),
}

/// The file of a place: the path itself, or in a folder one named after the site.
pub fn file_of(place: &Path, site: &SiteId) -> PathBuf {
    if place.is_dir() {
        let name: String =
            site.as_str().chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        place.join(format!("{name}.heads"))
    } else {
        place.to_owned()
    }
}

/// Appends `news` behind the line `last` and waits until the disk has it.
pub(super) fn tell(path: &Path, last: Option<&str>, news: &[String]) -> io::Result<Answer> {
    let created = !path.exists();
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let tail = tail(&mut file)?;
    let (whole, torn) = match tail.rfind('\n') {
        Some(end) => (&tail[..end], &tail[end + 1..]),
        None => ("", &*tail),
    };
    let found = whole.rsplit('\n').next().filter(|line| !line.is_empty());
    // The last line told may lack nothing but its end.
    let unended = last == Some(torn);
    let found = if unended { last } else { found };
    if found != last {
        return Ok(match found {
            None if torn.is_empty() => Answer::Emptied,
            None => Answer::Other(torn.to_owned()),
            Some(found) => Answer::Other(found.to_owned()),
        });
    }
    let mut text = String::new();
    for line in news {
        text.push_str(line);
        text.push('\n');
    }
    let rest = match text.strip_prefix(torn) {
        _ if unended => format!("\n{text}"),
        Some(rest) => rest.to_owned(),
        None => return Ok(Answer::Other(torn.to_owned())),
    };
    if !rest.is_empty() {
        file.write_all(rest.as_bytes())?;
    }
    file.sync_data()?;
    if created && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(Answer::Told)
}

/// The end of the file, from the beginning of a line. What is not text comes as replacement characters and then is
/// nobody's line.
fn tail(file: &mut File) -> io::Result<String> {
    let length = file.seek(SeekFrom::End(0))?;
    let from = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(match text.find('\n') {
        Some(end) if from > 0 => text[end + 1..].to_owned(),
        _ => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn lines_are_appended_behind_the_last_one_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heads");
        assert_eq!(tell(&path, None, &lines(&["one", "two"])).unwrap(), Answer::Told);
        assert_eq!(tell(&path, Some("two"), &lines(&["three"])).unwrap(), Answer::Told);
        assert_eq!(tell(&path, Some("three"), &[]).unwrap(), Answer::Told);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
        assert_eq!(tell(&path, Some("two"), &lines(&["x"])).unwrap(), Answer::Other("three".to_owned()));
        std::fs::write(&path, "").unwrap();
        assert_eq!(tell(&path, Some("three"), &lines(&["four"])).unwrap(), Answer::Emptied);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "", "nothing is told to a place that lost what it knew");
    }

    #[test]
    fn a_torn_line_is_completed_wherever_it_was_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heads");
        let whole = "first\nsecond line\nthird\n";
        for cut in 6..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let told = tell(&path, Some("first"), &lines(&["second line", "third"])).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            match told {
                Answer::Told => assert_eq!(text, whole, "cut at {cut}"),
                // Here the place already knows more than we believed; the caller finds out how much.
                Answer::Other(line) => {
                    assert!(["second line", "third"].contains(&&*line), "{line:?}");
                    assert_eq!(text, whole[..cut]);
                }
                Answer::Emptied => panic!("cut at {cut}"),
            }
        }
        for cut in 0..6 {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(tell(&path, None, &lines(&["first"])).unwrap(), Answer::Told, "cut at {cut}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "first\n");
        }
    }

    #[test]
    fn something_else_in_the_file_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heads");
        std::fs::write(&path, b"\xff\xfenot ours").unwrap();
        assert!(matches!(tell(&path, None, &lines(&["one"])).unwrap(), Answer::Other(_)));
        assert_eq!(std::fs::read(&path).unwrap(), b"\xff\xfenot ours");
    }
}
