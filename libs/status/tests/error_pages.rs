//! Each reason has its page in docs/errors, each page its reason, and the index names all.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use reeve_status::Reason;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors")
}

fn page(name: &str) -> String {
    let file = folder().join(name).with_extension("md");
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn after<'a>(page: &'a str, mark: &str) -> Option<&'a str> {
    let rest = &page[page.find(mark)? + mark.len()..];
    rest.split(['.', '\n', ' ']).next()
}

#[test]
fn each_reason_has_a_page_and_each_page_a_reason() {
    let files = fs::read_dir(folder()).expect("docs/errors exists");
    let pages: BTreeSet<_> = files
        .map(|file| file.expect("docs/errors can be read").path())
        .filter(|path| !path.ends_with("README.md"))
        .map(|path| {
            path.file_stem()
                .expect("a file")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let reasons: BTreeSet<_> = Reason::ALL
        .iter()
        .map(|reason| reason.as_str().to_owned())
        .collect();
    let unwritten: Vec<_> = reasons.difference(&pages).collect();
    let stray: Vec<_> = pages.difference(&reasons).collect();
    assert!(
        unwritten.is_empty(),
        "reasons without a page in docs/errors: {unwritten:?}"
    );
    assert!(stray.is_empty(), "pages of no reason: {stray:?}");
}

#[test]
fn a_page_tells_what_it_promises() {
    for reason in Reason::ALL {
        let word = reason.as_str();
        let page = page(word);
        assert!(
            page.starts_with(&format!("# {word}\n")),
            "{word}: the title is the reason"
        );
        for part in ["\n**Why it happens.** ", "\n**What to do.** "] {
            assert!(page.contains(part), "{word} lacks {part:?}");
        }
        let example = format!("\"reason\": \"{word}\"");
        assert!(
            page.contains(&example),
            "{word}: the example answers with its reason"
        );
        // RESOURCE_EXHAUSTED in the text is ResourceExhausted in grpcurl's answer, and grpcurl
        // spells CANCELLED with one l.
        let plain = |code: &str| {
            code.replace('_', "")
                .to_lowercase()
                .replace("cancelled", "canceled")
        };
        let (text, answer) = (after(&page, "**Code:** "), after(&page, "  Code: "));
        assert_eq!(
            text.map(plain),
            answer.map(plain),
            "{word}: the code of text and example"
        );
    }
}

#[test]
fn the_index_names_each_page_once() {
    let index = page("README");
    for reason in Reason::ALL {
        let word = reason.as_str();
        assert_eq!(
            index.matches(&format!("[{word}]({word}.md)")).count(),
            1,
            "{word} in the index"
        );
    }
}
