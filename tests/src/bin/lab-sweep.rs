//! `lab-sweep guardian|watchdog [NUMBER...]`: ends the coordinator of a backup after each entry of its run log, or after those
//! numbered, with -9, and prints what came of it as a table. With `guardian` the run's guardian lives; with `watchdog` it dies at the
//! same moment. `lab-sweep cut NUMBER` cuts the hypervisor's power after that entry, and `lab-sweep after-cut ENTRY` looks, in its next
//! boot, what came of it. `lab-sweep gone ENTRY` ends the guest's QEMU after that entry, and with it the lab's use.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the lab's scripts")]

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use stillpoint_tests::lab::guest::Guest;
use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::sweep::{Helper, backup, cut_off, entries, outcome, outcome_of_a_cut, row, without_its_vm};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Result<Vec<usize>, _> = arguments.iter().skip(1).map(|text| text.parse()).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["entries"] => {
            entries().iter().for_each(|entry| println!("{entry}"));
            return ExitCode::SUCCESS;
        }
        ["cut", _] => {
            let Ok([number]) = numbers.as_deref() else { return usage() };
            scenario(|guest| one(guest, *number, Helper::Boot, Instant::now()));
            return ExitCode::from(3);
        }
        ["gone", entry] => {
            let guest = Guest::default();
            guest.start_ticks(20);
            guest.wait_for_ticks(5);
            println!("| {entry} | {} |", without_its_vm(entry));
            return ExitCode::SUCCESS;
        }
        ["after-cut", entry] => {
            let began = Instant::now();
            scenario(|guest| println!("{}", row(entry, &outcome_of_a_cut(guest, Path::new("/run/share")), began)));
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let helper = match arguments.first().map(String::as_str) {
        Some("guardian") => Helper::Guardian,
        Some("watchdog") => Helper::Watchdog,
        _ => return usage(),
    };
    let Ok(mut numbers) = numbers else { return usage() };

    let all = entries();
    if numbers.is_empty() {
        numbers = (0..all.len()).collect();
    }
    println!("{} entries: {}", all.len(), all.join(", "));
    println!("| killed after | longest gap between two commits | given back by `recover` | next backup | took |");
    println!("|---|---|---|---|---|");
    let mut bad = 0;
    for number in numbers {
        let began = Instant::now();
        let done = std::panic::catch_unwind(|| scenario(|guest| one(guest, number, helper, began)));
        if done.is_err() {
            bad += 1;
            let entry = all.get(number).map_or("no such entry", String::as_str);
            println!("| {entry} | BAD, see above | | | |");
        }
    }
    println!("{bad} bad");
    ExitCode::from(u8::from(bad > 0))
}

fn one(guest: &Guest, number: usize, helper: Helper, began: Instant) {
    guest.forget_ticks();
    guest.start_ticks(20);
    let since = guest.wait_for_ticks(5);
    let mut run = backup();
    match cut_off(&mut run, number, helper) {
        Some(entry) => println!("{}", row(&entry, &outcome(guest, &run, since, helper), began)),
        None => println!("| entry {number} | was not reached | | | |"),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: lab-sweep guardian|watchdog [NUMBER...] | entries | cut NUMBER | after-cut ENTRY | gone ENTRY");
    ExitCode::from(2)
}
