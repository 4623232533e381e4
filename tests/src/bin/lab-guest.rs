//! `lab-guest wait agent PID | wait database PID | sh SCRIPT | sql STATEMENT`: asks the lab's guest, for the shell scripts of the lab.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::panic, reason = "a program for the lab's scripts")]

use std::path::Path;
use std::process::ExitCode;

use stillpoint_tests::lab::guest::Guest;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let guest = Guest::default();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["wait", peer @ ("agent" | "database"), qemu] => {
            let process = Path::new("/proc").join(qemu);
            let gone = || (!process.exists()).then(|| "QEMU has ended".to_owned());
            let up = if peer == "agent" { guest.wait_for_agent(gone) } else { guest.wait_for_database(gone) };
            if let Err(reason) = up {
                eprintln!("lab-guest: {reason}");
                return ExitCode::FAILURE;
            }
        }
        ["sh", script] => print!("{}", guest.sh(script)),
        ["sql", statement] => println!("{}", guest.sql(statement)),
        _ => {
            eprintln!("usage: lab-guest wait agent PID | wait database PID | sh SCRIPT | sql STATEMENT");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
