//! The exit codes, as the command line's long help states them.
//!
//! The one place to change when they come from a table instead: everything here sees [`ExitCode`]s only.

/// The paragraph of a long help that has them starts with it.
const START: &str = "Exit codes: ";

/// An exit code and what it means.
#[derive(Debug, PartialEq, Eq)]
pub struct ExitCode {
    /// The number.
    pub code: u8,
    /// What it means, without a final stop.
    pub means: String,
}

/// A long help's prose, and the exit codes that it states; none where it states none. A sentence after the codes is prose.
pub fn split(about: &str) -> (Vec<&str>, Vec<ExitCode>) {
    let (mut prose, mut stated) = (Vec::new(), Vec::new());
    for paragraph in about.split("\n\n") {
        let Some(text) = paragraph.strip_prefix(START) else {
            prose.push(paragraph);
            continue;
        };
        let (text, rest) = text.split_once(". ").unwrap_or((text, ""));
        stated.extend(codes(text));
        prose.extend((!rest.is_empty()).then_some(rest));
    }
    (prose, stated)
}

/// `0 done, in full; 1 failed`: a number after a comma or semicolon begins the next.
fn codes(text: &str) -> Vec<ExitCode> {
    let mut codes: Vec<ExitCode> = Vec::new();
    for piece in text.split_inclusive([',', ';']) {
        let trimmed = piece.trim_start();
        match trimmed.split_once(' ').and_then(|(number, means)| Some((number.parse().ok()?, means))) {
            Some((code, means)) => codes.push(ExitCode { code, means: means.to_owned() }),
            None => {
                if let Some(last) = codes.last_mut() {
                    last.means.push_str(piece);
                }
            }
        }
    }
    for code in &mut codes {
        code.means = code.means.trim_end_matches([',', ';', '.', ' ']).to_owned();
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(code: u8, means: &str) -> ExitCode {
        ExitCode { code, means: means.to_owned() }
    }

    #[test]
    fn a_comma_inside_a_meaning_ends_it_only_where_a_number_follows() {
        let (prose, codes) =
            split("Does it.\n\nExit codes: 0 done, in full; 1 failed, 5 damaged. It says more, 2 things.");
        assert_eq!(prose, ["Does it.", "It says more, 2 things."]);
        assert_eq!(codes, [code(0, "done, in full"), code(1, "failed"), code(5, "damaged")]);
    }

    #[test]
    fn a_help_that_states_none_has_none() {
        assert_eq!(split("Does it."), (vec!["Does it."], vec![]));
    }

    #[test]
    fn the_program_states_its_own() {
        let about = stillpoint::cli::command().get_long_about().unwrap().to_string();
        let (_, codes) = split(&about);
        assert_eq!(codes.iter().map(|code| code.code).collect::<Vec<_>>(), [0, 1, 2, 3, 5, 6]);
    }
}
