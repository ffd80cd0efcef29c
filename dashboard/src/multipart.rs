//! Reads a `multipart/form-data` body that is in memory already (RFC 7578). Strict: what a browser does not send is
//! refused. Pure.

/// Parts of one body at most; our largest form has five.
const PARTS_MAX: usize = 12;
/// Longest head of a part, in bytes.
const HEAD_MAX: usize = 1024;
/// Longest boundary, in bytes (RFC 2046, 5.1.1).
const BOUNDARY_MAX: usize = 70;

/// One part: the field's name and its bytes. A file's name is not read: nobody needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// The field.
    pub name: &'a str,
    /// What was sent.
    pub bytes: &'a [u8],
}

/// The parts of a body with this `Content-Type`; `None` for anything that is not whole and well formed.
pub fn parts<'a>(content_type: &str, body: &'a [u8]) -> Option<Vec<Part<'a>>> {
    let (essence, parameters) = content_type.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameters.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?.trim_matches('"');
    if boundary.is_empty() || boundary.len() > BOUNDARY_MAX {
        return None;
    }
    let fence = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(&fence.as_bytes()[2..])?;
    let mut found = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Some(found);
        }
        if found.len() == PARTS_MAX {
            return None;
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let head_end = position(&rest[..rest.len().min(HEAD_MAX)], b"\r\n\r\n")?;
        let (head, after) = (std::str::from_utf8(&rest[..head_end]).ok()?, &rest[head_end + 4..]);
        let end = position(after, fence.as_bytes())?;
        found.push(Part { name: name_of(head)?, bytes: &after[..end] });
        rest = &after[end + fence.len()..];
    }
}

fn name_of(head: &str) -> Option<&str> {
    let value = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    value.split(';').find_map(|part| part.trim().strip_prefix("name=\"")?.strip_suffix('"'))
}

/// Where `wanted` begins. A first byte is looked for before the rest is compared, so that a picture of megabytes takes
/// milliseconds.
fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    loop {
        from += bytes.get(from..)?.iter().position(|byte| *byte == first)?;
        if bytes[from..].starts_with(wanted) {
            return Some(from);
        }
        from += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=----b";

    fn body(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut text = String::new();
        for (head, value) in parts {
            text += &format!("------b\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n");
        }
        (text + "------b--\r\n").into_bytes()
    }

    #[test]
    fn fields_and_files_are_read_as_browsers_send_them() {
        let sent = body(&[("name=\"form\"", "t"), ("name=\"photo\"; filename=\"..\\\\x.png\"", "a\r\n--b\r\n-----b")]);
        let read = parts(TYPE, &sent).unwrap();
        assert_eq!(read[0], Part { name: "form", bytes: b"t" });
        assert_eq!(read[1], Part { name: "photo", bytes: b"a\r\n--b\r\n-----b" });
        let empty = body(&[("name=\"photo\"; filename=\"\"", "")]);
        assert_eq!(parts(TYPE, &empty).unwrap()[0].bytes, b"");
    }

    #[test]
    fn whatever_is_not_whole_is_refused() {
        let sent = body(&[("name=\"form\"", "t"), ("name=\"photo\"", "picture")]);
        for end in 0..sent.len() - 4 {
            assert_eq!(parts(TYPE, &sent[..end]), None, "cut at {end}");
        }
        assert_eq!(parts("text/plain", &sent), None);
        assert_eq!(parts("multipart/form-data; boundary=", &sent), None);
        assert_eq!(parts("multipart/form-data; boundary=other", &sent), None);
        assert_eq!(parts(TYPE, &body(&[("filename=\"x\"", "no name")])), None);
        assert_eq!(parts(TYPE, &body(&vec![("name=\"a\"", ""); PARTS_MAX + 1])), None, "bounded");
    }
}
