//! How things are said on stderr, by where it leads and what was asked for.

use std::env;
use std::io::IsTerminal;

use clap::ValueEnum;

use super::journal;

/// `--progress`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// `bar` on a terminal, else `plain`.
    #[default]
    Auto,
    /// Sentences, and below them a line that tells how far a copy is.
    Bar,
    /// Sentences, a line each; how far a copy is every 5 s at first, then rarer.
    Plain,
    /// Every event as a JSON document, a line each, and nothing else on stderr.
    Json,
    /// Sentences, and nothing of how far a copy is.
    None,
}

/// How things are said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// The form of a line.
    pub form: Form,
    /// How far a copy is.
    pub copies: Copies,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Sentences.
    Text {
        /// What may be used to make one stand out.
        paint: Paint,
        /// The time before each: nothing else stamps them.
        stamped: bool,
    },
    /// Records of the journal.
    Journal,
    /// JSON documents.
    Json,
}

/// What makes a line stand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Colours.
    Colour,
    /// Only bold type: `NO_COLOR` is set.
    Bold,
    /// Nothing.
    None,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// In a line that is drawn anew and leaves no trace.
    Bar,
    /// In a line now and then.
    Lines,
    /// Not at all.
    Untold,
}

/// Where stderr leads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    /// To a terminal.
    pub is_terminal: bool,
    /// That takes control sequences: `TERM` is set, and not `dumb`.
    pub takes_control: bool,
    /// `NO_COLOR` is set, and not empty.
    pub no_color: bool,
    /// To the journal.
    pub is_journal: bool,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn here() -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        Self {
            is_terminal: std::io::stderr().is_terminal(),
            takes_control: set("TERM").is_some_and(|term| term != "dumb"),
            no_color: set("NO_COLOR").is_some(),
            is_journal: journal::is_stderr(),
        }
    }
}

impl Manner {
    /// What `progress` means here.
    #[must_use]
    pub fn of(progress: Progress, here: Surroundings) -> Self {
        let is_screen = here.is_terminal && here.takes_control;
        let paint = match here.no_color {
            _ if !is_screen => Paint::None,
            true => Paint::Bold,
            false => Paint::Colour,
        };
        let form = match progress {
            Progress::Json => Form::Json,
            Progress::Auto | Progress::Plain | Progress::None if here.is_journal => Form::Journal,
            Progress::Bar => Form::Text { paint, stamped: false },
            _ => Form::Text { paint, stamped: !here.is_terminal },
        };
        let copies = match progress {
            Progress::Bar => Copies::Bar,
            Progress::Auto if is_screen => Copies::Bar,
            Progress::Auto | Progress::Plain => Copies::Lines,
            Progress::None | Progress::Json => Copies::Untold,
        };
        Self { form, copies }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMINAL: Surroundings =
        Surroundings { is_terminal: true, takes_control: true, no_color: false, is_journal: false };
    /// Cron hands down no `TERM`, a pipe of a shell on a terminal does.
    const PIPE: Surroundings = Surroundings { is_terminal: false, ..TERMINAL };

    fn auto(here: Surroundings) -> (Form, Copies) {
        let Manner { form, copies } = Manner::of(Progress::Auto, here);
        (form, copies)
    }

    #[test]
    fn a_terminal_has_a_bar_and_colours_where_they_are_wanted() {
        let text = |paint, stamped| Form::Text { paint, stamped };
        assert_eq!(auto(TERMINAL), (text(Paint::Colour, false), Copies::Bar));
        assert_eq!(auto(Surroundings { no_color: true, ..TERMINAL }), (text(Paint::Bold, false), Copies::Bar));
        assert_eq!(auto(Surroundings { takes_control: false, ..TERMINAL }), (text(Paint::None, false), Copies::Lines));
    }

    #[test]
    fn a_time_is_given_only_where_nobody_else_gives_it() {
        assert_eq!(auto(PIPE), (Form::Text { paint: Paint::None, stamped: true }, Copies::Lines));
        assert_eq!(auto(Surroundings { is_journal: true, ..PIPE }), (Form::Journal, Copies::Lines));
    }

    #[test]
    fn what_is_asked_for_is_done_wherever_stderr_leads() {
        for here in [TERMINAL, PIPE, Surroundings { is_journal: true, ..PIPE }] {
            assert_eq!(Manner::of(Progress::Json, here).form, Form::Json);
            assert_eq!(Manner::of(Progress::Bar, here).copies, Copies::Bar);
            assert_eq!(Manner::of(Progress::Plain, here).copies, Copies::Lines);
            assert_eq!(Manner::of(Progress::None, here).copies, Copies::Untold);
        }
    }
}
