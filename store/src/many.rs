//! Many rows in few statements: cuts and fills lists so that statements have few lengths and the engine keeps each prepared.
//! Arithmetic only; the statements are the callers'.

/// Most rows of one statement; with fewer than 256 values each it stays below what PostgreSQL takes (65,535).
const ROWS_MAX: usize = 256;

/// Cuts rows into parts of 256, 128, 64 … and 1, in their order. Whoever inserts a part with one statement makes nine
/// different statements at most, so all of them stay prepared; a list of 255 rows takes eight.
///
/// ```
/// let parts: Vec<usize> = store::in_parts(&[0; 518]).map(<[i32]>::len).collect();
/// assert_eq!(parts, [256, 256, 4, 2]);
/// ```
pub fn in_parts<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = 1 << rows.len().min(ROWS_MAX).checked_ilog2()?;
        let (part, rest) = rows.split_at_checked(length)?;
        rows = rest;
        Some(part)
    })
}

/// The texts of a list for `IN (…)`, the last one so often repeated that there are few lengths: 1, 8, 64, 256 and 1,024. An
/// empty list becomes one empty text, which nothing is equal to; whoever has more than 1,024 asks in parts.
pub fn padded<I: IntoIterator<Item: AsRef<str>>>(values: I) -> Vec<String> {
    let mut all: Vec<String> = values.into_iter().map(|value| value.as_ref().to_owned()).collect();
    let size = [1, 8, 64, 256, 1024].into_iter().find(|size| all.len() <= *size).unwrap_or(all.len());
    let last = all.last().cloned().unwrap_or_default();
    all.resize(size, last);
    all
}

#[cfg(test)]
mod tests {
    use super::{in_parts, padded};

    #[test]
    fn lists_have_few_lengths_and_nothing_else_in_them() {
        let of = |count: usize| padded((0..count).map(|n| n.to_string()));
        assert_eq!([0, 1, 2, 8, 9, 65, 257, 2000].map(|count| of(count).len()), [1, 1, 8, 8, 64, 256, 1024, 2000]);
        assert_eq!(of(3)[2..], ["2"; 6]);
        assert_eq!(of(0), [""]);
    }

    #[test]
    fn every_row_is_in_one_part_in_its_order() {
        for count in [0, 1, 2, 3, 7, 64, 255, 256, 257, 511, 512, 1000] {
            let rows: Vec<usize> = (0..count).collect();
            let parts: Vec<&[usize]> = in_parts(&rows).collect();
            assert_eq!(parts.concat(), rows);
            assert!(parts.iter().all(|part| part.len().is_power_of_two() && part.len() <= 256), "{count}");
        }
    }
}
