//! The parts of a passport as bytes, before they are sealed: a version, then texts behind their lengths, then zeros up
//! to a multiple of 64 bytes, so that the length of what is sealed tells little of the length of a name.

use thiserror::Error;
use zeroize::Zeroizing;

use super::{BirthDate, CONTACTS_MAX, Contact, ContactKind, DOCUMENTS_MAX, Document, DocumentKind, Names, Secret};

const VERSION: u8 = 1;
/// Lengths are rounded up to this, in bytes.
const STEP_BYTES: usize = 64;

/// What was opened is not a part of a passport that this version can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the opened text has a form that this version does not know; a newer program may have written it")]
pub struct BadPack;

/// Writes names.
pub fn pack_names(names: &Names) -> Zeroizing<Vec<u8>> {
    pack(&[names.family.reveal(), names.given.reveal(), names.middle.reveal()])
}

/// Reads names.
///
/// # Errors
/// [`BadPack`].
pub fn unpack_names(bytes: &[u8]) -> Result<Names, BadPack> {
    match unpack(bytes, 3)?.as_slice() {
        [family, given, middle] => Ok(Names::new(family, given, middle)),
        _ => Err(BadPack),
    }
}

/// Writes a date of birth, or that there is none.
pub fn pack_birth_date(date: Option<BirthDate>) -> Zeroizing<Vec<u8>> {
    let text = date.map(BirthDate::reveal_iso).unwrap_or_default();
    pack(&[text.reveal()])
}

/// Reads a date of birth.
///
/// # Errors
/// [`BadPack`].
pub fn unpack_birth_date(bytes: &[u8]) -> Result<Option<BirthDate>, BadPack> {
    match unpack(bytes, 1)?.as_slice() {
        [""] => Ok(None),
        [text] => BirthDate::parse(text).map(Some).ok_or(BadPack),
        _ => Err(BadPack),
    }
}

/// Writes documents.
pub fn pack_documents(documents: &[Document]) -> Zeroizing<Vec<u8>> {
    let fields = |document: &'_ Document| {
        [document.kind.as_str().to_owned(), document.number.reveal().to_owned(), document.issued.reveal().to_owned()]
    };
    let texts = Zeroizing::new(documents.iter().flat_map(fields).collect::<Vec<String>>());
    pack(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Reads documents.
///
/// # Errors
/// [`BadPack`].
pub fn unpack_documents(bytes: &[u8]) -> Result<Vec<Document>, BadPack> {
    let texts = unpack(bytes, 3 * DOCUMENTS_MAX)?;
    let (whole, rest) = texts.as_chunks::<3>();
    if !rest.is_empty() {
        return Err(BadPack);
    }
    whole
        .iter()
        .map(|[kind, number, issued]| {
            let kind = DocumentKind::parse(kind).ok_or(BadPack)?;
            Ok(Document { kind, number: Secret::new(number), issued: Secret::new(issued) })
        })
        .collect()
}

/// Writes contacts.
pub fn pack_contacts(contacts: &[Contact]) -> Zeroizing<Vec<u8>> {
    let texts: Vec<&str> =
        contacts.iter().flat_map(|contact| [contact.kind.as_str(), contact.value.reveal()]).collect();
    pack(&texts)
}

/// Reads contacts.
///
/// # Errors
/// [`BadPack`].
pub fn unpack_contacts(bytes: &[u8]) -> Result<Vec<Contact>, BadPack> {
    let texts = unpack(bytes, 2 * CONTACTS_MAX)?;
    let (whole, rest) = texts.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(BadPack);
    }
    whole
        .iter()
        .map(|[kind, value]| Ok(Contact { kind: ContactKind::parse(kind).ok_or(BadPack)?, value: Secret::new(value) }))
        .collect()
}

/// Version, number of texts, each text behind its length of two bytes, zeros.
fn pack(texts: &[&str]) -> Zeroizing<Vec<u8>> {
    let length = 2 + texts.iter().map(|text| 2 + text.len()).sum::<usize>();
    // The final size at once: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.next_multiple_of(STEP_BYTES)));
    bytes.push(VERSION);
    bytes.push(texts.len() as u8);
    for text in texts {
        bytes.extend_from_slice(&(text.len() as u16).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.resize(length.next_multiple_of(STEP_BYTES), 0);
    bytes
}

fn unpack(bytes: &[u8], texts_max: usize) -> Result<Vec<&str>, BadPack> {
    let (&[version, count], mut rest) = bytes.split_first_chunk::<2>().ok_or(BadPack)?;
    if version != VERSION || usize::from(count) > texts_max {
        return Err(BadPack);
    }
    let mut texts = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk::<2>().ok_or(BadPack)?;
        let (text, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(BadPack)?;
        texts.push(std::str::from_utf8(text).map_err(|_| BadPack)?);
        rest = after;
    }
    if rest.iter().any(|byte| *byte != 0) {
        return Err(BadPack);
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packed_parts_read_back(family in "\\PC{0,100}", given in "\\PC{0,100}", number in "\\PC{0,300}") {
            let names = Names::new(&family, &given, "");
            prop_assert_eq!(&unpack_names(&pack_names(&names)).unwrap(), &names);
            let documents = vec![
                Document { kind: DocumentKind::IdCard, number: Secret::new(&number), issued: Secret::default() }; 3];
            prop_assert_eq!(&unpack_documents(&pack_documents(&documents)).unwrap(), &documents);
            let contacts = vec![Contact { kind: ContactKind::Email, value: Secret::new(&number) }; 5];
            prop_assert_eq!(&unpack_contacts(&pack_contacts(&contacts)).unwrap(), &contacts);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (unpack_names(&bytes), unpack_birth_date(&bytes), unpack_documents(&bytes), unpack_contacts(&bytes));
        }
    }

    #[test]
    fn dates_read_back_and_none_stays_none() {
        let date = BirthDate::parse("1987-04-21");
        assert_eq!(unpack_birth_date(&pack_birth_date(date)).unwrap(), date);
        assert_eq!(unpack_birth_date(&pack_birth_date(None)).unwrap(), None);
    }

    #[test]
    fn lengths_tell_little_of_a_name() {
        let length = |family: &str| pack_names(&Names::new(family, "Ян", "")).len();
        assert_eq!(length("Ли"), length("Константинопольская"));
        assert_eq!(length("Ли") % STEP_BYTES, 0);
    }
}
