//! Reduces an error's text to its class: what stays when the particulars of one occurrence are
//! taken away. Two failures with the same class are the same trouble.

/// Characters that a class keeps; longer texts differ late, if at all.
const LONGEST: usize = 160;

/// The class of an error: its code and the first line of its text, in lower case, where every word
/// that looks like an id, a number, a path, an address, a time or a quotation is replaced by what
/// it is.
pub fn error_class(code: &str, message: &str) -> String {
    let line = message
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    let mut words: Vec<&str> = Vec::new();
    let unquoted = strip_quotations(line).to_lowercase();
    for word in unquoted.split_whitespace() {
        let kind = classify(word);
        // A list of ten ids is the same trouble as a list of nine.
        if kind.starts_with('<') && words.last() == Some(&kind) {
            continue;
        }
        words.push(kind);
    }
    let code = code.trim().to_lowercase();
    let class = match (code.is_empty(), words.is_empty()) {
        (true, true) => "unknown".to_owned(),
        (true, false) => words.join(" "),
        (false, true) => code,
        (false, false) => format!("{code}: {}", words.join(" ")),
    };
    class
        .chars()
        .take(LONGEST)
        .collect::<String>()
        .trim_end()
        .to_owned()
}

/// Replaces what stands between quotation marks. An apostrophe inside a word opens none.
fn strip_quotations(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(open) = rest.find(['"', '\'', '`']) {
        let quote = rest[open..].chars().next().unwrap_or('"');
        let inside = rest[..open]
            .chars()
            .next_back()
            .is_some_and(char::is_alphanumeric);
        let after = &rest[open + quote.len_utf8()..];
        match (inside, after.find(quote)) {
            (false, Some(close)) => {
                out.push_str(&rest[..open]);
                out.push_str(" <text> ");
                rest = &after[close + quote.len_utf8()..];
            }
            _ => {
                out.push_str(&rest[..open + quote.len_utf8()]);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// What a word stands for, or the word itself without the punctuation around it.
fn classify(word: &str) -> &str {
    let bare =
        word.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '/' | '<' | '>' | '\\'));
    if bare.is_empty() || (bare.starts_with('<') && bare.ends_with('>')) {
        return if bare.is_empty() { word } else { bare };
    }
    let digits = bare.chars().filter(char::is_ascii_digit).count();
    if bare.contains("://") {
        "<url>"
    } else if is_uuid(bare) {
        "<id>"
    } else if bare.starts_with('/') || bare.contains('\\') || bare.matches('/').count() > 1 {
        "<path>"
    } else if is_time(bare, digits) {
        "<time>"
    } else if is_address(bare) {
        "<address>"
    } else if is_hexadecimal(bare, digits) {
        "<hex>"
    } else if digits > 0 {
        // Numbers, versions, "line:12", "pod-7f9", "5s": whatever has a digit varies.
        "<number>"
    } else {
        bare
    }
}

fn is_uuid(word: &str) -> bool {
    word.len() == 36
        && word.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_time(word: &str, digits: usize) -> bool {
    let dashes = word.matches('-').count();
    let colons = word.matches(':').count();
    let only = |extra: &str| {
        word.chars()
            .all(|c| c.is_ascii_digit() || extra.contains(c))
    };
    (digits >= 8 && dashes >= 2 && only("-:.tz+")) || (digits >= 4 && colons == 2 && only(":.,z"))
}

fn is_address(word: &str) -> bool {
    let host = word.rsplit_once(':').map_or(word, |(host, port)| {
        if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) {
            host
        } else {
            word
        }
    });
    let parts: Vec<_> = host.split('.').collect();
    let dotted = parts.len() == 4
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let named =
        host.len() < word.len() && host.chars().any(char::is_alphabetic) && host.contains('.');
    dotted || named
}

fn is_hexadecimal(word: &str, digits: usize) -> bool {
    let bare = word.strip_prefix("0x").unwrap_or(word);
    digits > 0
        && bare.len() >= 7
        && bare.bytes().all(|byte| byte.is_ascii_hexdigit())
        && (bare.len() < word.len() || bare.bytes().any(|byte| byte.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of one trouble on each line, and its class.
    const CORPUS: &[(&str, &[&str])] = &[
        (
            "exec: command exited with status <number>",
            &[
                "command exited with status 1",
                "command exited with status 127",
                "Command exited with status 2\nsecond line 77",
            ],
        ),
        (
            "exec: timed out after <number>",
            &["timed out after 30s", "timed out after 2m5s"],
        ),
        (
            "exec: task <id> not found",
            &[
                "task 0190f3c4-8d6e-7a55-b3a0-4f6d1c2e9b7a not found",
                "task 0190F3C4-8D6E-7A55-B3A0-4F6D1C2E9B7B not found",
            ],
        ),
        (
            "exec: cannot open <path> no such file",
            &[
                "cannot open /tmp/a/b.yaml: no such file",
                "cannot open /var/run/x: no such file",
                "cannot open C:\\temp\\x: no such file",
            ],
        ),
        (
            "exec: connection to <address> refused",
            &[
                "connection to 10.0.0.1:5432 refused",
                "connection to db.internal:5432 refused",
                "connection to 192.168.1.20 refused",
            ],
        ),
        (
            "exec: unknown field <text> in manifest",
            &[
                "unknown field \"replica\" in manifest",
                "unknown field 'image' in manifest",
                "unknown field `x y z` in manifest",
            ],
        ),
        (
            "exec: fetch <url> failed",
            &["fetch https://a.example/x failed", "fetch http://b failed"],
        ),
        (
            "exec: bad object <hex>",
            &["bad object 7f9c2ba4e8", "bad object 0xdeadbeef01"],
        ),
        (
            "exec: at <time> it broke",
            &[
                "at 2026-11-22T10:00:00Z it broke",
                "at 2026-11-22T10:00:00.123Z it broke",
                "at 10:22:01 it broke",
            ],
        ),
        ("exec: don't know", &["don't know"]),
        (
            "exec: missing <id>",
            &[
                "missing 0190f3c4-8d6e-7a55-b3a0-4f6d1c2e9b7a 0190f3c4-8d6e-7a55-b3a0-4f6d1c2e9b7b",
                "missing 0190f3c4-8d6e-7a55-b3a0-4f6d1c2e9b7a",
            ],
        ),
    ];

    #[test]
    fn one_trouble_has_one_class() {
        for (class, texts) in CORPUS {
            for text in *texts {
                assert_eq!(error_class("EXEC", text), *class, "{text:?}");
            }
        }
    }

    #[test]
    fn different_troubles_have_different_classes() {
        let classes: std::collections::BTreeSet<_> = CORPUS
            .iter()
            .map(|(_, texts)| error_class("EXEC", texts[0]))
            .collect();
        assert_eq!(classes.len(), CORPUS.len());
        assert_ne!(error_class("A", "x"), error_class("B", "x"));
    }

    #[test]
    fn every_text_has_a_bounded_class() {
        assert_eq!(error_class("", " \n "), "unknown");
        assert_eq!(error_class("EXEC", ""), "exec");
        assert_eq!(error_class("", "boom"), "boom");
        assert!(error_class("", &"äß ".repeat(500)).chars().count() <= LONGEST);
        for odd in [
            "'", "\"\"\"", "``'", "<", "<>", "::", "/", "\u{0}", "it's 'so",
        ] {
            let class = error_class("", odd);
            assert!(!class.is_empty(), "{odd:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_is_stable(text in ".{0,300}") {
            proptest::prop_assert_eq!(error_class("c", &text), error_class("c", &text));
        }
    }
}
