//! A look at the snapshots and pools of a host, in words.

use std::time::Duration;

use lvm::Bytes;

use crate::documents::watch::{Fill, PoolMode, Sample, State};
use crate::show::amount::clock;
use crate::show::printable::printable_text;

/// A table, a line for each.
pub fn sample(sample: &Sample) -> String {
    let mut rows: Vec<[String; 5]> = Vec::new();
    for snapshot in &sample.snapshots {
        let state = match snapshot.state {
            State::Active => "whole",
            State::Invalid | State::Overflow => "LOST",
            State::Merging => "merging",
            State::Unknown => "unknown",
        };
        rows.push(row(&snapshot.name, state, snapshot.cow.as_ref(), |bytes| Bytes(bytes).to_string()));
    }
    for pool in &sample.pools {
        let mode = match pool.mode {
            PoolMode::ReadWrite => "writable",
            PoolMode::OutOfDataSpace => "FULL",
            PoolMode::ReadOnly => "READ-ONLY",
            PoolMode::Failed => "FAILED",
            PoolMode::Unknown => "unknown",
        };
        let blocks = |blocks| format!("{blocks} blocks");
        rows.push(row(&format!("{} data", pool.name), mode, pool.data.as_ref(), blocks));
        rows.push(row(&format!("{} metadata", pool.name), mode, pool.metadata.as_ref(), blocks));
    }
    if rows.is_empty() {
        return format!("{}  no snapshot and no thin pool\n", sample.at);
    }
    let head = ["", "", "FULL", "RATE", "FULL IN"].map(str::to_owned);
    let width =
        |column: usize| rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 5] = std::array::from_fn(width);
    let line = |row: &[String; 5]| {
        let [name, state, fill, rate, left] = row;
        format!(
            "{name:<0$}  {state:<1$}  {fill:>2$}  {rate:>3$}  {left:>4$}\n",
            widths[0], widths[1], widths[2], widths[3], widths[4]
        )
    };
    format!("{}\n", sample.at) + &line(&head) + &rows.iter().map(line).collect::<String>()
}

fn row(name: &str, state: &str, fill: Option<&Fill>, amount: impl Fn(u64) -> String) -> [String; 5] {
    let name = printable_text(name);
    let Some(fill) = fill else { return [name, state.to_owned(), String::new(), String::new(), String::new()] };
    let full = format!("{:.1}% of {}", fill.percent, amount(fill.total));
    let rate = if fill.per_second == 0 { String::new() } else { format!("{}/s", amount(fill.per_second)) };
    let left = fill.full_in_s.map_or(String::new(), |seconds| clock(Duration::from_secs(seconds)));
    [name, state.to_owned(), full, rate, left]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::watch::{Pool, Snapshot};

    #[test]
    fn each_has_a_line_with_its_fill_and_what_is_lost_stands_out() {
        let fill = |percent, full_in_s| Fill { used: 1 << 29, total: 1 << 30, percent, per_second: 1 << 20, full_in_s };
        let snapshots = vec![
            Snapshot { name: "vg/a".to_owned(), state: State::Active, cow: Some(fill(50.0, Some(512))) },
            Snapshot { name: "vg/longer".to_owned(), state: State::Invalid, cow: None },
        ];
        let pool = Pool { name: "vg/p".to_owned(), mode: PoolMode::ReadWrite, data: None, metadata: None };
        let shown = sample(&Sample::new("2026-11-27T01:02:03.000Z".to_owned(), snapshots, vec![pool]));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines[2].split_whitespace().collect::<Vec<_>>(),
            ["vg/a", "whole", "50.0%", "of", "1", "GiB", "1", "MiB/s", "8:32"]
        );
        assert!(lines[3].starts_with("vg/longer      LOST"), "{shown}");
        assert_eq!(lines.len(), 6, "{shown}");
    }
}
