//! The list of erased persons, kept outside the database and its backups, in one or more files.
//!
//! A line is `number at_ms person hash`: the number counts from one, the hash is the SHA-256 of the hash before it (64
//! zeros before the first) and of the line up to itself, in hexadecimal digits, so a line that was changed, taken out
//! or put in is noticed. A pseudonym says nothing to who does not have the database. A line is synced before anything
//! is erased; one that a power cut left unfinished at the end is dropped, as nothing was erased for it.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use domain::{PersonId, UtcMillis};
use sha2::{Digest, Sha256};

use super::VaultError;

/// Longest list, in bytes: some ten million erasures. Beyond it nobody is erased until a person looks at it.
const LIST_MAX_BYTES: u64 = 1 << 30;

/// A person who was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// Who.
    pub person: PersonId,
    /// When.
    pub at: UtcMillis,
}

/// All lists together.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Each person once, in the order of erasure.
    pub persons: Vec<Remembered>,
    /// What is wrong with a list, and with which.
    pub damage: Option<String>,
}

/// One list.
struct List {
    lines: Vec<Remembered>,
    last_hash: String,
    /// How many bytes are whole lines.
    whole_bytes: u64,
    damage: Option<String>,
}

/// Writes a person into each list; when it returns, a power cut does not lose it. The first list must take it, and so
/// must every copy: an erasure that is remembered in one place only might be forgotten with it.
pub(super) fn remember(places: &[PathBuf], one: Remembered) -> Result<(), VaultError> {
    if places.is_empty() {
        return Err(VaultError::ShredList("no place is configured for the list of erased persons".to_owned()));
    }
    for place in places {
        let list = read(place)?;
        if let Some(damage) = list.damage {
            return Err(VaultError::ShredList(damage));
        }
        if !list.lines.iter().any(|line| line.person == one.person) {
            append(place, &list, one).map_err(|error| cannot(place, "be written", error))?;
        }
    }
    Ok(())
}

/// Reads all lists; a person in any of them was erased.
pub(super) fn read_all(places: &[PathBuf]) -> Result<Memory, VaultError> {
    let mut memory = Memory::default();
    let mut seen = HashSet::new();
    for (index, place) in places.iter().enumerate() {
        let list = match read(place) {
            Ok(list) => list,
            // A copy on a share that is away must not hold up the start; the own list must be there.
            Err(error) if index > 0 => {
                tracing::warn!(%error, "vault.shredded.copy_unreadable");
                continue;
            }
            Err(error) => return Err(error),
        };
        memory.persons.extend(list.lines.into_iter().filter(|line| seen.insert(line.person)));
        memory.damage = memory.damage.or(list.damage);
    }
    memory.persons.sort_by_key(|line| line.at);
    Ok(memory)
}

fn read(place: &Path) -> Result<List, VaultError> {
    let mut text = String::new();
    match File::open(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(cannot(place, "be read", error)),
        Ok(file) => {
            let read = file.take(LIST_MAX_BYTES + 1).read_to_string(&mut text);
            read.map_err(|error| cannot(place, "be read", error))?;
        }
    }
    if text.len() as u64 > LIST_MAX_BYTES {
        return Err(VaultError::ShredList(format!("{} is longer than a gigabyte", place.display())));
    }
    let mut list = List { lines: Vec::new(), last_hash: "0".repeat(64), whole_bytes: 0, damage: None };
    for line in text.split_inclusive('\n') {
        // Only a last line can be without its end.
        let Some(whole) = line.strip_suffix('\n') else { break };
        list.whole_bytes += line.len() as u64;
        let number = list.lines.len() + 1;
        let (one, is_sound) = parse(whole, number, &mut list.last_hash);
        if let (false, None) = (is_sound, &list.damage) {
            list.damage = Some(format!(
                "{}, line {number}: the list of erased persons was changed or damaged here; compare it with its copy, \
                 put the whole one in its place and start again",
                place.display()
            ));
        }
        match one {
            Some(one) => list.lines.push(one),
            // Numbers would be wrong from here on anyway.
            None => list.lines.push(Remembered { person: PersonId([0; 16]), at: UtcMillis(0) }),
        }
    }
    list.lines.retain(|line| line.person != PersonId([0; 16]));
    Ok(list)
}

/// The person of a line if one can be read, and whether number and hash are right.
fn parse(line: &str, number: usize, last_hash: &mut String) -> (Option<Remembered>, bool) {
    let Some((body, hash)) = line.rsplit_once(' ') else { return (None, false) };
    let mut words = body.split(' ');
    let (count, at, person) = (words.next(), words.next(), words.next());
    let at = at.and_then(|at| at.parse().ok()).map(UtcMillis);
    let one = person.and_then(|person| person.parse().ok()).zip(at).map(|(person, at)| Remembered { person, at });
    let is_sound = count == Some(number.to_string().as_str())
        && words.next().is_none()
        && one.is_some()
        && chained(last_hash, body) == hash;
    hash.clone_into(last_hash);
    (one, is_sound)
}

fn append(place: &Path, list: &List, one: Remembered) -> io::Result<()> {
    if let Some(folder) = place.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let is_new = !place.exists();
    // Not opened for appending: an unfinished last line is cut off first.
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(place)?;
    file.set_len(list.whole_bytes)?;
    io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
    let body = format!("{} {} {}", list.lines.len() + 1, one.at.0, one.person);
    let line = format!("{body} {}\n", chained(&list.last_hash, &body));
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    if let (true, Some(folder)) = (is_new, place.parent().filter(|folder| !folder.as_os_str().is_empty())) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn chained(before: &str, body: &str) -> String {
    let hash = Sha256::new().chain_update(before.as_bytes()).chain_update(body.as_bytes()).finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn cannot(place: &Path, what: &str, error: io::Error) -> VaultError {
    VaultError::file(format!("the list of erased persons {} cannot {what}", place.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(number: u8) -> Remembered {
        Remembered { person: PersonId([number; 16]), at: UtcMillis(i64::from(number)) }
    }

    fn three() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("list/shredded.log");
        for number in 1..=3 {
            remember(std::slice::from_ref(&place), person(number)).unwrap();
        }
        (folder, place)
    }

    #[test]
    fn each_person_is_remembered_once_in_every_place() {
        let (folder, place) = three();
        let copy = folder.path().join("elsewhere/copy.log");
        for number in [3, 4, 4] {
            remember(&[place.clone(), copy.clone()], person(number)).unwrap();
        }
        assert_eq!(read(&place).unwrap().lines.len(), 4);
        assert_eq!(read(&copy).unwrap().lines.len(), 2);
        fs::remove_file(&place).unwrap();
        let memory = read_all(&[place, copy]).unwrap();
        assert_eq!(memory.persons, [person(3), person(4)], "the copy remembers what the lost list does not");
    }

    #[test]
    fn a_line_that_a_power_cut_left_unfinished_is_dropped_and_written_anew() {
        let (_folder, place) = three();
        let whole = fs::read(&place).unwrap();
        for length in whole.len() - 20..whole.len() {
            fs::write(&place, &whole[..length]).unwrap();
            assert_eq!(read(&place).unwrap().lines.len(), 2);
            remember(std::slice::from_ref(&place), person(3)).unwrap();
            assert_eq!(fs::read(&place).unwrap(), whole);
        }
    }

    #[test]
    fn a_list_that_was_changed_anywhere_is_noticed_and_takes_nobody_in() {
        let (_folder, place) = three();
        let whole = fs::read(&place).unwrap();
        // A changed end of the last line is an unfinished line and noticed by its missing.
        for index in 0..whole.len() - 1 {
            let mut changed = whole.clone();
            changed[index] ^= 1;
            fs::write(&place, &changed).unwrap();
            let unreadable = read_all(std::slice::from_ref(&place));
            let is_noticed = unreadable.as_ref().map_or(true, |memory| memory.damage.is_some());
            assert!(is_noticed, "byte {index}");
            assert!(remember(std::slice::from_ref(&place), person(9)).is_err(), "byte {index}");
        }
        let lines: Vec<&str> = std::str::from_utf8(&whole).unwrap().split_inclusive('\n').collect();
        for order in [[1, 0, 2].as_slice(), &[0, 2], &[1, 2], &[0, 0, 1, 2], &[0, 1, 2, 2]] {
            let changed: String = order.iter().map(|index| lines[*index]).collect();
            fs::write(&place, changed).unwrap();
            assert!(read_all(std::slice::from_ref(&place)).unwrap().damage.is_some(), "{order:?}");
        }
    }

    #[test]
    fn without_a_place_or_with_one_that_takes_nothing_nobody_is_erased() {
        assert!(remember(&[], person(1)).is_err());
        let (folder, place) = three();
        let is_folder = folder.path().to_owned();
        assert!(matches!(remember(&[place, is_folder], person(4)), Err(VaultError::File { .. })));
    }
}
