//! Text that somebody else chose, made safe for a terminal.

/// Whether `character` can be sent to a terminal: no control character, nothing that changes the direction or the look
/// of what is around it without being seen.
#[must_use]
pub fn is_printable(character: char) -> bool {
    let is_invisible = matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !character.is_control() && !is_invisible
}

/// `bytes` as text: what is not printable, not UTF-8, or a backslash is escaped, so that no two names look the same.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                printable if is_printable(printable) => text.push(printable),
                other => text.extend(other.escape_default()),
            }
        }
        text.extend(chunk.invalid().iter().flat_map(|byte| format!("\\x{byte:02x}").into_bytes()).map(char::from));
    }
    text
}

/// A message that quotes escaped text already: whatever still is not printable is escaped, the rest left alone.
#[must_use]
pub fn printable_text(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    for character in message.chars() {
        if is_printable(character) { text.push(character) } else { text.extend(character.escape_default()) }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        assert_eq!(printable(b"a\x1b[31mb\x07\n"), "a\\u{1b}[31mb\\u{7}\\n");
        assert_eq!(printable("c1 \u{9b}31m, turned \u{202e}gpj".as_bytes()), "c1 \\u{9b}31m, turned \\u{202e}gpj");
        assert_eq!(printable(b"\xff\x9b"), "\\xff\\x9b");
        assert_eq!(
            printable("gr\u{fc}\u{df}e \u{65e5}\u{672c} \u{1f600}".as_bytes()),
            "gr\u{fc}\u{df}e \u{65e5}\u{672c} \u{1f600}"
        );
    }

    #[test]
    fn a_name_that_looks_escaped_differs_from_one_that_is() {
        assert_ne!(printable(b"\\n"), printable(b"\n"));
    }
}
