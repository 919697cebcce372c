//! From a JSON pointer to the path of a field as Reeve's errors name it.

/// `/steps/0/image` as `.steps[0].image`; a key that is no plain word as `["two words"]`.
pub fn dotted(pointer: &str) -> String {
    pointer.split('/').skip(1).map(step).collect()
}

fn step(escaped: &str) -> String {
    let key = escaped.replace("~1", "/").replace("~0", "~");
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '$';
    if !key.is_empty() && key.bytes().all(|b| b.is_ascii_digit()) {
        format!("[{key}]")
    } else if !key.is_empty() && key.chars().all(word) {
        format!(".{key}")
    } else {
        format!("[{key:?}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_becomes_a_path() {
        for (pointer, path) in [
            ("", ""),
            ("/steps/0/image", ".steps[0].image"),
            ("/$defs/a~1b/two words", ".$defs[\"a/b\"][\"two words\"]"),
            ("/", "[\"\"]"),
        ] {
            assert_eq!(dotted(pointer), path);
        }
    }
}
