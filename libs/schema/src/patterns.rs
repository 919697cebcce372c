//! What a pattern may cost. An engine without backtracking takes no longer than pattern times text, and
//! that is long enough: a pattern of a line can keep ten thousand places open at each character. One
//! that becomes a small automaton takes a step for each character, whatever the text.

use std::collections::HashMap;

use regex_automata::dfa::dense::{Builder, Config};
use regex_automata::nfa::thompson;

/// What the automaton of one pattern may take.
pub const AUTOMATON_BYTES: usize = 256 * 1_024;
/// What all automata of a schema may take, each reference counted as what it refers to.
pub const AUTOMATA_BYTES: usize = 512 * 1_024;

/// Weighs patterns, each once.
#[derive(Default)]
pub struct Patterns<'a> {
    known: HashMap<&'a str, Option<usize>>,
    is_over: bool,
}

impl<'a> Patterns<'a> {
    /// What the automaton of a pattern takes; nothing when it takes too much. After the first that
    /// does, or after very many, all others count as nothing: the schema is refused anyway, and each
    /// costs milliseconds.
    pub fn weigh(&mut self, pattern: &'a str) -> Option<usize> {
        if let Some(known) = self.known.get(pattern) {
            return *known;
        }
        if self.is_over {
            return Some(0);
        }
        let bytes = bytes(pattern);
        self.known.insert(pattern, bytes);
        let heavy: usize = self.known.values().flatten().sum();
        self.is_over = bytes.is_none() || heavy > AUTOMATA_BYTES;
        bytes
    }
}

fn bytes(pattern: &str) -> Option<usize> {
    // What is no pattern at all is refused with better words when the schema is compiled.
    let Ok(translated) = jsonschema_regex::to_rust_regex(pattern) else {
        return Some(0);
    };
    let limits = Config::new()
        .dfa_size_limit(Some(AUTOMATON_BYTES))
        .determinize_size_limit(Some(AUTOMATON_BYTES));
    let of_pattern = thompson::Config::new().nfa_size_limit(Some(AUTOMATON_BYTES));
    let mut builder = Builder::new();
    builder.configure(limits).thompson(of_pattern);
    match builder.build(&translated) {
        Ok(automaton) => Some(automaton.memory_usage()),
        Err(_) if is_wrong(&translated) => Some(0),
        Err(_) => None,
    }
}

/// Whether it has no meaning, rather than too large a one.
fn is_wrong(pattern: &str) -> bool {
    thompson::Compiler::new()
        .configure(thompson::Config::new().nfa_size_limit(Some(AUTOMATON_BYTES)))
        .build(pattern)
        .is_err_and(|error| error.size_limit().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_light_and_what_keeps_many_places_open_is_refused() {
        for light in [
            "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
            "^[^\\s]+$",
            "^\\d{4}-\\d{2}-\\d{2}$",
            "^\\w+@\\w+[.][a-z]{2,}$",
            "^.{1,200}$",
            "(foo|bar).*baz",
        ] {
            let bytes = bytes(light);
            assert!(bytes.is_some_and(|bytes| bytes > 0), "{light}: {bytes:?}");
        }
        for heavy in [
            "[012]*1[012]{400}[34]",
            "[01]*1[01]{14}",
            "\\bword\\b",
            "(\\w{900}){9}",
        ] {
            assert_eq!(bytes(heavy), None, "{heavy}");
        }
        for wrong in ["(", "(?=x)", "a{2,1}"] {
            assert_eq!(bytes(wrong), Some(0), "{wrong}");
        }
    }

    #[test]
    fn after_one_that_is_too_heavy_nothing_is_weighed() {
        let mut patterns = Patterns::default();
        assert_eq!(patterns.weigh("\\bword\\b"), None);
        assert_eq!(patterns.weigh("[01]*1[01]{14}"), Some(0));
        assert_eq!(patterns.weigh("\\bword\\b"), None);
    }
}
