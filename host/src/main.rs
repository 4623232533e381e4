//! The `stillpoint` program.
fn main() {}
