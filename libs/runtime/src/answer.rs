//! Answers that fit into a message. What has been committed and then does not fit is as bad as lost:
//! the client sees an error, and whoever repeats a read meets the same rows again.

use prost::Message;

/// What the rows of one answer may take: a message holds other fields as well, and clients count
/// their own framing in.
pub const ANSWER_BYTES: usize = 3 * 1024 * 1024;

/// Tag and length of an element, at most.
const ELEMENT_BYTES: usize = 8;

/// The first rows that fit into an answer, rendered; one at least, if there is any. The answer is
/// shorter than `rows` when the rest belongs into another message or page.
pub fn fit<Row, M: Message>(rows: &[Row], render: impl FnMut(&Row) -> M) -> Vec<M> {
    let mut bytes = 0;
    let rendered = rows.iter().map(render).enumerate();
    rendered
        .take_while(|(at, message)| {
            bytes += message.encoded_len() + ELEMENT_BYTES;
            *at == 0 || bytes <= ANSWER_BYTES
        })
        .map(|(_, message)| message)
        .collect()
}

/// The page of rows that were read with one more than it holds, rendered, and the key of its last
/// row when there are more. It ends early where the answer would not fit.
pub fn page<Row, M: Message, Key>(
    mut rows: Vec<Row>,
    size: i64,
    render: impl FnMut(&Row) -> M,
    key: impl FnOnce(&Row) -> Key,
) -> (Vec<M>, Option<Key>) {
    let read = rows.len();
    rows.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    let rendered = fit(&rows, render);
    let more = rendered.len() < read;
    let last = rendered.len().checked_sub(1).filter(|_| more);
    let next = last.map(|last| key(&rows[last]));
    (rendered, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(row: &usize) -> String {
        "x".repeat(*row)
    }

    #[test]
    fn the_extra_row_tells_of_a_next_page() {
        let (page, next) = super::page(vec![1, 2, 3], 2, text, |row| *row);
        assert_eq!((page.len(), next), (2, Some(2)));
        let (page, next) = super::page(vec![1, 2], 2, text, |row| *row);
        assert_eq!((page.len(), next), (2, None));
        let (page, next) = super::page(Vec::new(), 2, text, |row| *row);
        assert_eq!((page.len(), next), (0, None));
    }

    #[test]
    fn a_page_ends_before_it_outgrows_a_message() {
        let half = ANSWER_BYTES / 2;
        let (page, next) = super::page(vec![half, half - 100, 7, 8], 3, text, |row| *row);
        assert_eq!((page.len(), next), (3, Some(7)));
        let (page, next) = super::page(vec![half, half, 7], 3, text, |row| *row);
        assert_eq!((page.len(), next), (1, Some(half)));
    }

    #[test]
    fn one_row_is_taken_whatever_its_size() {
        assert_eq!(fit(&[ANSWER_BYTES * 2, 1], text).len(), 1);
    }
}
