//! Lists that go out in as many messages as they need. Rendered rows are moved, not copied: this is
//! on the way of every lease.

use prost::Message;
use reeve_runtime::answer::ANSWER_BYTES;

/// Rows in their order, as many in each portion as fit into a message, and one at least.
pub fn portions<M: Message>(rows: Vec<M>) -> Vec<Vec<M>> {
    let mut portions: Vec<Vec<M>> = Vec::new();
    let mut bytes = ANSWER_BYTES;
    for row in rows {
        let more = row.encoded_len() + 8;
        bytes += more;
        match portions.last_mut() {
            Some(portion) if bytes <= ANSWER_BYTES => portion.push(row),
            _ => {
                portions.push(vec![row]);
                bytes = more;
            }
        }
    }
    portions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_portion_fits_and_none_is_empty() {
        let lengths = |rows: &[usize]| -> Vec<usize> {
            let rows = rows.iter().map(|bytes| "x".repeat(*bytes)).collect();
            portions::<String>(rows).iter().map(Vec::len).collect()
        };
        let half = ANSWER_BYTES / 2;
        assert_eq!(lengths(&[]), [0; 0]);
        assert_eq!(lengths(&[1, 2, 3]), [3]);
        assert_eq!(lengths(&[half, half - 100, half, 1]), [2, 2]);
        assert_eq!(lengths(&[2 * ANSWER_BYTES, 1, 2 * ANSWER_BYTES]), [1, 1, 1]);
    }
}
