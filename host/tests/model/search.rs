//! Every state that can be reached, breadth first, and from each the ways on in which no fault comes any more.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use stillpoint::grade::Grade;

use crate::invariants::{broken_by, is_at_rest, observe};
use crate::moves::{Cost, Move};
use crate::state::State;
use crate::{Model, coordinator, environment, recovery};

/// What a search has seen.
#[derive(Debug)]
pub struct Explored {
    pub states: usize,
    pub moves: usize,
    /// The longest way to a state, in moves.
    pub depth: usize,
    /// Moves among them that publish a backup of grade `application`.
    pub applications: usize,
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, moves, depth, applications } = self;
        write!(f, "{states} states, {moves} moves, {depth} deep, {applications} ways to publish `application`")
    }
}

/// A way to what must not be.
#[derive(Debug)]
pub struct Counterexample {
    pub what: &'static str,
    pub way: Vec<String>,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:", self.what)?;
        self.way.iter().zip(1..).try_for_each(|(done, number)| writeln!(f, "{number:4}  {done}"))
    }
}

/// Every next move of anybody.
pub fn moves(model: &Model, state: State) -> Vec<Move> {
    let mut all = coordinator::moves(model, state);
    all.extend(recovery::begins(state));
    all.extend(recovery::moves(model, state));
    all.extend(environment::moves(model, state));
    for done in &mut all {
        if done.cost == Cost::Fault {
            done.state.faults = state.faults.saturating_sub(1);
        }
        observe(model, &state, &mut done.state);
    }
    all
}

#[derive(Clone, Copy)]
struct Came {
    from: usize,
    depth: usize,
    said: [&'static str; 3],
}

/// Explores all of `model`.
pub fn explore(model: &Model) -> Result<Explored, Counterexample> {
    let first = State::first(model);
    let mut known: HashMap<State, usize, BuildHasherDefault<Mix>> = HashMap::default();
    known.insert(first, 0);
    let mut states = vec![first];
    let mut came = vec![Came { from: 0, depth: 0, said: [""; 3] }];
    let (mut ways_on, mut ends) = (Vec::new(), Vec::new());
    let (mut count, mut applications) = (0, 0);

    let mut number = 0;
    while let Some(&state) = states.get(number) {
        for done in moves(model, state) {
            count += 1;
            let said = [done.who, done.what, done.how];
            if let Some(what) = broken_by(model, &state, &done) {
                let mut way = way(&came, number);
                way.push(sentence(said));
                return Err(Counterexample { what, way });
            }
            applications += usize::from(done.published == Some(Grade::Application));
            let next = *known.entry(done.state).or_insert_with(|| {
                states.push(done.state);
                came.push(Came { from: number, depth: came[number].depth + 1, said });
                states.len() - 1
            });
            if done.cost == Cost::Progress {
                ways_on.push((next, said));
            }
        }
        ends.push(ways_on.len());
        number += 1;
    }
    comes_to_rest(&states, &came, &ways_on, &ends)?;
    let depth = came.iter().map(|came| came.depth).max().unwrap_or_default();
    Ok(Explored { states: states.len(), moves: count, depth, applications })
}

type WayOn = (usize, [&'static str; 3]);

/// Every way on from every state ends, and where it ends nothing is held. Where no circle can be gone in, that is so for every order in
/// which those go on that can, fair or not.
fn comes_to_rest(states: &[State], came: &[Came], ways_on: &[WayOn], ends: &[usize]) -> Result<(), Counterexample> {
    let on_from = |state: usize| {
        let begin = state.checked_sub(1).map_or(0, |before| ends[before]);
        &ways_on[begin..ends[state]]
    };
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Never,
        OnTheWay,
        Done,
    }
    let mut seen = vec![Seen::Never; states.len()];
    for start in 0..states.len() {
        let mut path = if seen[start] == Seen::Never { vec![(start, 0)] } else { Vec::new() };
        seen[start] = if seen[start] == Seen::Never { Seen::OnTheWay } else { seen[start] };
        while let Some((state, taken)) = path.last_mut() {
            let ways = on_from(*state);
            if ways.is_empty() && !is_at_rest(&states[*state]) {
                let what = "nobody does anything any more, and something is held";
                return Err(Counterexample { what, way: way(came, *state) });
            }
            let Some(&(next, _)) = ways.get(*taken) else {
                seen[*state] = Seen::Done;
                path.pop();
                continue;
            };
            *taken += 1;
            match seen[next] {
                Seen::Done => {}
                Seen::Never => {
                    seen[next] = Seen::OnTheWay;
                    path.push((next, 0));
                }
                Seen::OnTheWay => {
                    let circle = path.iter().skip_while(|(state, _)| *state != next);
                    let said = circle.map(|(state, taken)| on_from(*state)[taken - 1].1);
                    let mut whole = way(came, next);
                    whole.extend(said.map(|said| format!("for ever: {}", sentence(said))));
                    return Err(Counterexample { what: "this goes on for ever", way: whole });
                }
            }
        }
    }
    Ok(())
}

fn way(came: &[Came], to: usize) -> Vec<String> {
    let mut way = Vec::new();
    let mut at = to;
    while at != 0 {
        way.push(sentence(came[at].said));
        at = came[at].from;
    }
    way.reverse();
    way
}

fn sentence([who, what, how]: [&str; 3]) -> String {
    if how.is_empty() { format!("{who} {what}") } else { format!("{who} {what}: {how}") }
}

/// A hash for small fields; `std`'s is for keys that an enemy chooses.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}
