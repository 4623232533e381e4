//! How things look to a person: names that a terminal can be shown, progress and speed. Draws, and decides nothing.

pub mod printable;
pub mod speed;
pub mod terminal;
