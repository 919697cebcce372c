//! Reads which paths a Rust file names, without a parser: comments, texts and unit tests are taken
//! out, and of what is left every `a::b` counts, written out or in a `use`.

use std::fs;
use std::path::{Path, PathBuf};

/// Every path that a file of a crate names outside its unit tests, from the crate's root: `super::x`
/// in `src/a/b.rs` is `crate::a::x`.
pub fn paths(src: &Path, file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let inside = file.strip_prefix(src).unwrap().with_extension("");
    let mut module: Vec<_> = inside
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    named(&code(&text))
        .into_iter()
        .map(|path| absolute(&path, &module))
        .collect()
}

/// The Rust files below a folder, without those of unit tests.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if name == "tests" || name.ends_with("_tests") {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The text without comments, texts in quotes and `#[cfg(test)]` modules.
fn code(text: &str) -> String {
    let bare = bare(text);
    let mut rest = bare.as_str();
    let mut kept = String::new();
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        rest = &rest[at + "#[cfg(test)]".len()..];
        if rest.trim_start().starts_with("mod ") {
            rest = after_item(rest);
        }
    }
    kept + rest
}

/// What follows the item that `text` begins with: up to a semicolon, or a block's end.
fn after_item(text: &str) -> &str {
    let mut depth = 0;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(character, '}' | ';') {
            return &text[at + 1..];
        }
    }
    ""
}

/// The text with a space for every comment, and for every text in quotes.
fn bare(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(end) = quoted(rest, kept.chars().last()) {
            end
        } else {
            kept.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        kept.push(' ');
        rest = &rest[skipped..];
    }
    kept
}

/// The length of the quotation that `text` begins with: "…", r#"…"#, 'x'.
fn quoted(text: &str, before: Option<char>) -> Option<usize> {
    let in_word = before.is_some_and(|before| before.is_alphanumeric() || before == '_');
    if text.starts_with('r') && !in_word {
        let hashes = text[1..].chars().take_while(|c| *c == '#').count();
        if text[1 + hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let start = 2 + hashes;
            let end = text[start..].find(&close)?;
            return Some(start + end + close.len());
        }
    }
    if text.starts_with('"') {
        return closed(text, '"');
    }
    // A lifetime has no closing quote.
    let character = text.strip_prefix('\'')?;
    let short = character.starts_with('\\') || character.chars().nth(1) == Some('\'');
    short.then(|| closed(text, '\'')).flatten()
}

fn closed(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == quote {
            return Some(at + 1);
        }
    }
    None
}

/// Every path in code, with groups taken apart: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn named(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(start) = rest.find(|c: char| c.is_alphabetic() || c == '_') {
        rest = &rest[start..];
        let end = path_end(rest);
        found.extend(
            apart(&rest[..end])
                .into_iter()
                .filter(|path| path.contains("::")),
        );
        rest = &rest[end..];
    }
    found
}

/// The length of the path that `text` begins with, a group at its end included.
fn path_end(text: &str) -> usize {
    let word = |text: &str| {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        end.unwrap_or(text.len())
    };
    let mut end = word(text);
    while let Some(next) = text[end..].strip_prefix("::") {
        let start = end + 2;
        if next.starts_with('{') {
            return start + next.len() - after_item(next).len();
        }
        let length = word(next);
        if length == 0 {
            return end;
        }
        end = start + length;
    }
    end
}

fn apart(path: &str) -> Vec<String> {
    let Some((head, rest)) = path.split_once('{') else {
        let plain = path.split(" as ").next().unwrap_or_default();
        return vec![plain.split_whitespace().collect()];
    };
    let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (position, character) in inner.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..position]);
                start = position + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let parts = parts
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts
        .flat_map(|part| apart(&format!("{head}{part}")))
        .collect()
}

fn absolute(path: &str, module: &[String]) -> String {
    let mut names: Vec<&str> = path.split("::").collect();
    let mut module: Vec<&str> = module.iter().map(String::as_str).collect();
    if !matches!(names[0], "self" | "super") {
        return path.to_owned();
    }
    while matches!(names.first(), Some(&("self" | "super"))) {
        if names.remove(0) == "super" {
            module.pop();
        }
    }
    let mut all = vec!["crate"];
    all.extend(module);
    all.extend(names);
    all.join("::")
}

#[test]
fn every_path_in_code_is_found() {
    let text = r##"
        //! use crate::comment::A;
        use crate::{
            domain::{A, b::C},
            grpc,
        };
        pub use sqlx::PgPool as Pool;
        fn f<'a>(x: &'a str) -> char {
            let _ = "crate::text::B \" /* " ; /* crate::block::C */
            let _ = r#"crate::raw::"D""#;
            let y = ';'; let z = '\''; let w = "// no comment";
            chrono::Utc::now(); super::super::grpc::render::x(); self::own::y(); Vec::<u8>::new();
            sqlx::query_as::<_, Row>("select 1")
        }
        #[cfg(test)]
        mod tests { use crate::test::E; fn g() { if true {} } }
        #[cfg(test)]
        mod elsewhere;
        fn h() { tokio::spawn(crate::last::F) }
    "##;
    let module = ["a", "b"].map(str::to_owned);
    let found: Vec<_> = named(&code(text))
        .into_iter()
        .map(|path| absolute(&path, &module))
        .collect();
    let expected = [
        "crate::domain::A",
        "crate::domain::b::C",
        "crate::grpc",
        "sqlx::PgPool",
        "chrono::Utc::now",
        "crate::grpc::render::x",
        "crate::a::b::own::y",
        "sqlx::query_as",
        "tokio::spawn",
        "crate::last::F",
    ];
    assert_eq!(found, expected);
}
