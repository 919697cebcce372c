//! Lines of a program's stderr, whatever it writes: bytes that are no text, lines without an end,
//! progress drawn over itself with carriage returns.

use std::borrow::Cow;

/// What is kept of a line.
pub const LONGEST: usize = 4 * 1024;

/// Cuts a stream of bytes at `\n` and `\r`.
#[derive(Debug, Default)]
pub struct Lines {
    unfinished: Vec<u8>,
}

impl Lines {
    /// Takes in bytes and passes on each line that they complete, without spaces around it. Empty
    /// lines are left out, and of a long one all but the beginning.
    pub fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        let mut pieces = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).peekable();
        while let Some(piece) = pieces.next() {
            let room = LONGEST - self.unfinished.len();
            self.unfinished
                .extend_from_slice(&piece[..piece.len().min(room)]);
            if pieces.peek().is_some() {
                self.finish(&mut line);
            }
        }
    }

    /// Passes on what stands behind the last end of a line.
    pub fn finish(&mut self, mut line: impl FnMut(&str)) {
        let text: Cow<'_, str> = String::from_utf8_lossy(&self.unfinished);
        let text = text.trim();
        if !text.is_empty() {
            line(text);
        }
        self.unfinished.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, |line| found.push(line.to_owned()));
        }
        lines.finish(|line| found.push(line.to_owned()));
        found
    }

    #[test]
    fn lines_end_at_either_sign_and_across_chunks() {
        let found = cut(&[b"10% a\r20", b"% b\r\n\n  c  \nd"]);
        assert_eq!(found, ["10% a", "20% b", "c", "d"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_such() {
        assert_eq!(cut(&[b"caf\xe9\nnext\n"]), ["caf\u{fffd}", "next"]);
    }

    #[test]
    fn a_line_without_an_end_is_kept_to_its_beginning() {
        let chunk = vec![b'x'; 1_000];
        let mut chunks = vec![chunk.as_slice(); 100];
        chunks.push(b"\nnext");
        let found = cut(&chunks);
        assert_eq!((found[0].len(), found[1].as_str()), (LONGEST, "next"));
    }
}
