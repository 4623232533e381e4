//! Sentences.

use insta::assert_snapshot;
use serde_json::json;
use stillpoint::cli::voice::{Progress, Surroundings};
use stillpoint::run::event::Event;
use tracing::Level;

use crate::played::{PIPE, Played, TERMINAL, said};

const MIDWAY_S: u64 = 120;

#[test]
fn on_a_terminal_of_80_columns_the_copy_is_one_line_below_the_sentences() {
    let played = Played::new(Progress::Auto, TERMINAL, Level::INFO, 80, MIDWAY_S);
    assert_snapshot!("midway_80", played.screen());
}

#[test]
fn on_a_wide_terminal_it_has_a_longer_bar() {
    let played = Played::new(Progress::Auto, TERMINAL, Level::INFO, 150, MIDWAY_S);
    assert_snapshot!("midway_150", played.screen());
}

#[test]
fn on_a_narrow_terminal_it_does_with_less_and_sentences_are_broken_between_words() {
    let played = Played::new(Progress::Auto, TERMINAL, Level::INFO, 50, MIDWAY_S);
    assert_snapshot!("midway_50", played.screen());
}

#[test]
fn a_step_that_takes_a_while_says_what_is_waited_for() {
    let played = Played::new(Progress::Auto, TERMINAL, Level::INFO, 80, 5);
    assert!(played.screen().ends_with("\nreading what the snapshots prove ..."), "{}", played.screen());
}

#[test]
fn at_the_end_no_bar_has_left_a_trace() {
    let played = Played::whole(Progress::Auto, TERMINAL, Level::INFO, 80);
    assert_snapshot!("end_80", played.screen());
}

#[test]
fn without_colours_the_window_is_bold() {
    let played = Played::whole(Progress::Auto, Surroundings { no_color: true, ..TERMINAL }, Level::INFO, 150);
    assert_snapshot!("end_150_no_color", played.screen());
}

#[test]
fn a_dumb_terminal_gets_no_control_sequence() {
    let dumb = Surroundings { takes_control: false, ..TERMINAL };
    let text = Played::whole(Progress::Auto, dumb, Level::DEBUG, 80).text();
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text}");
}

#[test]
fn a_pipe_gets_a_line_a_sentence_with_its_time_and_of_a_copy_less_and_less() {
    assert_snapshot!("pipe", Played::whole(Progress::Auto, PIPE, Level::INFO, 80).text());
}

#[test]
fn with_details_ids_and_coordinates_are_there() {
    assert_snapshot!("pipe_details", Played::whole(Progress::None, PIPE, Level::DEBUG, 80).text());
}

#[test]
fn quiet_is_warnings_alone() {
    let text = Played::whole(Progress::Bar, TERMINAL, Level::WARN, 150).text();
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    assert!(text.starts_with("\u{1b}[33mwarning: the guest mounts a disk at /mnt/scratch"), "{text}");
}

#[test]
fn an_error_that_two_steps_end_with_is_said_once() {
    let failed = |step: &str| {
        let document = json!({
            "event": "step", "at": "2026-11-21T19:59:25.000Z", "elapsed_ms": 2000, "mark": "failed", "step": step,
            "error": "lock: no answer within 30 s\nand then unlock failed: gone",
        });
        serde_json::from_value::<Event>(document).unwrap()
    };
    // The lock was not granted, and so the freeze never sent: both hold nothing, and both say why.
    let text = said(PIPE, &[failed("lock"), failed("freeze")]);
    let time = "1970-01-01T00:00:00Z";
    assert_eq!(text, format!("{time} warning: lock failed: no answer within 30 s\n  and then unlock failed: gone\n"));
}
