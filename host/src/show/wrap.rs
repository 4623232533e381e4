//! Text that fits a width.

use unicode_width::UnicodeWidthStr;

/// `text` in lines of `columns`, broken between words, each line after the first indented by `indent`. A word that is too
/// long stays whole: paths and names are copied from here.
#[must_use]
pub fn hanging(text: &str, columns: usize, indent: usize) -> String {
    let mut lines = String::with_capacity(text.len());
    let mut used = 0;
    // Blanks at the beginning belong to the first word, and several within are somebody's layout.
    for word in text.split_inclusive(' ') {
        let width = word.trim_end().width();
        if used > indent && used + width > columns {
            lines.truncate(lines.trim_end().len());
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', indent));
            used = indent;
        }
        lines.push_str(word);
        used += word.width();
    }
    lines
}

/// `text` in `columns` at the most; what has no room in the middle is `..`, because disks' names differ at their ends.
#[must_use]
pub fn shortened(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(2);
    let head = fitting(text.chars(), room / 2);
    let tail: String = fitting(text.chars().rev(), room - room / 2).chars().rev().collect();
    fitting(format!("{head}..{tail}").chars(), columns)
}

/// As many of `characters` as have room in `columns`.
#[must_use]
pub fn fitting(characters: impl Iterator<Item = char>, columns: usize) -> String {
    let mut text = String::new();
    for character in characters {
        text.push(character);
        if text.width() > columns {
            text.pop();
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_hang_under_the_first() {
        assert_eq!(
            hanging("  cow  300 MiB for vg/data, as asked", 20, 7),
            "  cow  300 MiB for\n       vg/data, as\n       asked"
        );
        assert_eq!(hanging("short enough", 80, 4), "short enough");
    }

    #[test]
    fn a_path_is_never_broken() {
        assert_eq!(
            hanging("look at /var/lib/stillpoint/runs/x.jsonl now", 12, 4),
            "look at\n    /var/lib/stillpoint/runs/x.jsonl\n    now"
        );
    }

    #[test]
    fn wide_characters_take_the_room_that_they_take() {
        assert_eq!(hanging("\u{65e5}\u{672c} \u{65e5}\u{672c}", 8, 2), "\u{65e5}\u{672c}\n  \u{65e5}\u{672c}");
        assert_eq!(shortened("\u{65e5}\u{672c}\u{65e5}\u{672c}", 6), "\u{65e5}..\u{672c}");
    }

    #[test]
    fn a_long_name_keeps_its_ends() {
        assert_eq!(shortened("vg_fast/customer-database-data", 16), "vg_fast..se-data");
        assert_eq!(shortened("vg/data", 7), "vg/data");
        assert_eq!([3, 2, 1, 0].map(|columns| shortened("vg/data", columns)), ["..a", "..", ".", ""]);
    }
}
