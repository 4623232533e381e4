//! The `stillpoint` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    stillpoint::cli::main()
}
