//! How often a forecast holds, and how much it takes for that: night after night, each known from those before it.
//!
//! `fixtures/series` has what real snapshots needed (`bench/forecast`); the others are made up, to be judged by what is known of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod nights;
mod rule;

use nights::{Night, batch_nights, even_nights, recorded, uneven_nights};
use rule::{Outcome, Rule, outcome};

/// Under a load whose busiest half minute is ten times its quietest, what holds nearly always is several times what most need.
#[test]
fn of_what_real_snapshots_needed_the_forecast_holds_and_takes_no_more_than_the_best_single_size_in_hindsight() {
    let recorded = recorded();
    let Outcome { nights, held, median_over, .. } = outcome(&recorded, Rule::Forecast);
    assert!(nights >= 60, "{nights} nights are too few to judge by");
    assert!(held * 100 >= nights * 99, "{held} of {nights}");
    let hindsight = outcome(&recorded, Rule::Hindsight);
    assert_eq!(hindsight.held, nights);
    assert!(median_over <= hindsight.median_over * 1.1, "{median_over}, and in hindsight {}", hindsight.median_over);
}

#[test]
fn of_nights_that_are_much_the_same_the_forecast_holds_and_stays_close() {
    let Outcome { nights, held, median_over, .. } = outcome(&even_nights(), Rule::Forecast);
    assert!(held * 100 >= nights * 99, "{held} of {nights}");
    assert!(median_over <= 1.6, "{median_over}");
}

/// What 99 of 100 such nights need is twice what most of them do: nothing that holds stays closer.
#[test]
fn of_nights_that_differ_by_half_the_forecast_holds_at_little_more_than_twice_the_need() {
    let Outcome { nights, held, median_over, .. } = outcome(&uneven_nights(), Rule::Forecast);
    assert!(held * 100 >= nights * 99, "{held} of {nights}");
    assert!(median_over <= 2.7, "{median_over}");
}

/// It knows such a night only once there was one; from then on it is reckoned with.
#[test]
fn of_a_batch_every_tenth_night_the_forecast_learns() {
    let nights = batch_nights();
    let (first, later) = nights.split_at(20);
    assert!(outcome(first, Rule::Forecast).held < outcome(first, Rule::Forecast).nights);
    let all = outcome(&nights, Rule::Forecast);
    assert!(all.held * 100 >= all.nights * 98, "{} of {}, {} later ones", all.held, all.nights, later.len());
}

#[test]
#[ignore = "prints a table"]
#[allow(clippy::print_stdout)]
fn table() {
    let workloads: [(&str, Vec<Night>); 4] = [
        ("recorded", recorded()),
        ("even nights", even_nights()),
        ("uneven nights", uneven_nights()),
        ("a batch every tenth night", batch_nights()),
    ];
    println!("| nights | rule | held | size / need, median | least | most |\n|---|---|---|---|---|---|");
    for (name, nights) in &workloads {
        for rule in Rule::ALL {
            let Outcome { nights, held, median_over, least_over, most_over } = outcome(nights, rule);
            println!("| {name} | {rule} | {held} of {nights} | {median_over:.2} | {least_over:.2} | {most_over:.2} |");
        }
    }
}
