//! Text that others wrote, on a terminal.
//!
//! Titles, errors, results and what is to be approved come from agents and from whoever gave them
//! work. On a terminal a control character moves the cursor, hides what stands there or reaches the
//! clipboard, and a character without width or one that turns the direction of writing makes two
//! texts look the same. All of them are shown by their names instead.

/// Text for one line or cell: line ends are shown by their names too.
pub fn visible(text: &str) -> String {
    escape(text, |_| false)
}

/// Text of several lines.
pub fn visible_lines(text: &str) -> String {
    escape(text, |char| matches!(char, '\n' | '\t'))
}

/// JSON text with nothing hidden in it; it stays the same JSON, since JSON has its own names for
/// characters and none of these can stand outside of its strings.
pub fn visible_json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        // What is below a space is escaped already, but for the line ends between the members.
        if is_hidden(char) && char >= '\u{7f}' {
            let mut units = [0; 2];
            for unit in char.encode_utf16(&mut units) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            shown.push(char);
        }
    }
    shown
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if is_hidden(char) && !keep(char) {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    shown
}

/// Control characters, those that turn the direction of writing, and those without width that no
/// script needs.
fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_told_what_to_do() {
        let evil = "a\u{1b}[2K\rb\u{9b}1A\u{7f}\u{202e}c\nd\te";
        assert_eq!(visible(evil), r"a\u{1b}[2K\rb\u{9b}1A\u{7f}\u{202e}c\nd\te");
        assert_eq!(visible_lines("a\n\tb\r\n\u{1b}c"), "a\n\tb\\r\n\\u{1b}c");
    }

    #[test]
    fn words_stay_as_they_are() {
        let words = "größer, 日本語, नमस्ते, 👩\u{200d}🔧, a\\n";
        assert_eq!(visible(words), words);
    }

    #[test]
    fn json_stays_the_same_json() {
        let json = serde_json::json!({"a": "\u{1b}[2K\u{9b}1A\u{202e}\u{7f}\u{e0041}é\n"});
        let text = visible_json(&serde_json::to_string_pretty(&json).unwrap());
        assert!(!text.chars().any(|c| is_hidden(c) && c != '\n'), "{text:?}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            json
        );
    }
}
