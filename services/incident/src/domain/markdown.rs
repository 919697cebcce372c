//! What others wrote, within a Markdown document: it is data and must not pose as part of it.

/// A text as a block of code: every line is indented. Markdown also ends a line at a lone carriage
/// return, and terminals obey control characters, so neither is left.
pub fn block(text: &str) -> String {
    let lines = text
        .trim_end()
        .split('\n')
        .map(|line| line.trim_end_matches('\r'));
    let lines = lines.flat_map(|line| line.split('\r'));
    let lines: Vec<String> = lines.map(|line| format!("    {}", plain(line))).collect();
    lines.join("\n")
}

/// A line without control characters, but for tabs.
pub fn plain(line: &str) -> String {
    line.chars()
        .filter(|c| *c == '\t' || !c.is_control())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_indented_wherever_a_reader_sees_a_line() {
        let text = block("a\n## b\n\r\nc\r\r## d\r<img>\u{1b}[2J\u{b}e");
        assert_eq!(
            text,
            "    a\n    ## b\n    \n    c\n    \n    ## d\n    <img>[2Je"
        );
        assert!(!text.contains('\r'));
    }
}
