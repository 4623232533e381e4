//! How things look to a person: names that a terminal can be shown, amounts, speed. Draws, and decides nothing.

pub mod amount;
pub mod copying;
pub mod printable;
pub mod speed;
pub mod terminal;
pub mod wrap;
