//! A look as a Prometheus textfile (the text format, version 0.0.4).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::documents::watch::{Fill, PoolMode, Sample, State};

/// What there is to say of a fill.
struct Metric {
    name: &'static str,
    help: &'static str,
    value: fn(&Fill) -> Option<f64>,
}

const fn metric(name: &'static str, help: &'static str, value: fn(&Fill) -> Option<f64>) -> Metric {
    Metric { name, help, value }
}

const FILLS: [Metric; 3] = [
    metric("used_ratio", "How full it is, from 0 to 1", |fill| Some(fill.percent / 100.0)),
    metric(
        "fill_per_second",
        "How much more is in use each second, in bytes of a COW and in blocks of a pool",
        |fill| Some(fill.per_second as f64),
    ),
    metric("full_in_seconds", "In how many seconds it is full, going on so; absent where it is not filling", |fill| {
        fill.full_in_s.map(|seconds| seconds as f64)
    }),
];

/// The text of a look.
#[must_use]
pub fn text(sample: &Sample) -> String {
    let mut text = String::new();
    head(&mut text, "stillpoint_snapshot_whole", "Whether a snapshot shows its origin as it was");
    for snapshot in &sample.snapshots {
        let is_whole = u8::from(snapshot.state == State::Active);
        line(&mut text, "stillpoint_snapshot_whole", &[("name", &snapshot.name)], f64::from(is_whole));
    }
    head(&mut text, "stillpoint_pool_writable", "Whether all volumes of a thin pool may be written to");
    for pool in &sample.pools {
        let is_writable = u8::from(pool.mode == PoolMode::ReadWrite);
        line(&mut text, "stillpoint_pool_writable", &[("name", &pool.name)], f64::from(is_writable));
    }
    for Metric { name, help, value } in FILLS {
        let metric = format!("stillpoint_{name}");
        head(&mut text, &metric, help);
        let snapshots = sample.snapshots.iter().map(|it| (&it.name, "cow", it.cow.as_ref()));
        let data = sample.pools.iter().map(|it| (&it.name, "data", it.data.as_ref()));
        let metadata = sample.pools.iter().map(|it| (&it.name, "metadata", it.metadata.as_ref()));
        for (name, what, fill) in snapshots.chain(data).chain(metadata) {
            if let Some(value) = fill.and_then(value) {
                line(&mut text, &metric, &[("name", name), ("what", what)], value);
            }
        }
    }
    text
}

/// Puts the text of a look into `file`, which is there whole at any time.
///
/// # Errors
/// Where it cannot be written: what was there stays.
pub fn write(sample: &Sample, file: &Path) -> io::Result<()> {
    let mut name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    // Not with the ending that is looked for.
    name.push(format!(".{}.new", std::process::id()));
    let new = file.with_file_name(name);
    // What may lie there is a dead process's, or a link to what is not ours.
    fs::remove_file(&new).or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    let written = File::create_new(&new)
        .and_then(|mut file| file.write_all(text(sample).as_bytes()))
        .and_then(|()| fs::rename(&new, file));
    if written.is_err() {
        fs::remove_file(&new).ok();
    }
    written
}

fn head(text: &mut String, metric: &str, help: &str) {
    text.push_str(&format!("# HELP {metric} {help}.\n# TYPE {metric} gauge\n"));
}

fn line(text: &mut String, metric: &str, labels: &[(&str, &str)], value: f64) {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    text.push_str(&format!("{metric}{{{}}} {value}\n", labels.join(",")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::watch::{Pool, Snapshot};

    fn sample() -> Sample {
        let fill = |full_in_s| Fill { used: 1, total: 4, percent: 25.0, per_second: 7, full_in_s };
        let whole = Snapshot { name: "vg/a".to_owned(), state: State::Active, cow: Some(fill(Some(9))) };
        let lost = Snapshot { name: "odd\"\\\n".to_owned(), state: State::Invalid, cow: None };
        let pool = Pool { name: "vg/p".to_owned(), mode: PoolMode::ReadOnly, data: Some(fill(None)), metadata: None };
        Sample::new(String::new(), vec![whole, lost], vec![pool])
    }

    #[test]
    fn each_metric_has_its_help_and_a_line_for_each_that_has_a_value() {
        let text = text(&sample());
        for line in [
            "# TYPE stillpoint_snapshot_whole gauge",
            "stillpoint_snapshot_whole{name=\"vg/a\"} 1",
            "stillpoint_snapshot_whole{name=\"odd\\\"\\\\\\n\"} 0",
            "stillpoint_pool_writable{name=\"vg/p\"} 0",
            "stillpoint_used_ratio{name=\"vg/a\",what=\"cow\"} 0.25",
            "stillpoint_full_in_seconds{name=\"vg/a\",what=\"cow\"} 9",
        ] {
            assert!(text.lines().any(|there| there == line), "{line}\n{text}");
        }
        assert!(!text.contains("full_in_seconds{name=\"vg/p\""), "{text}");
    }

    #[test]
    fn what_a_link_under_its_temporary_name_points_to_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("s.prom"), folder.path().join("other"));
        fs::write(&other, "before").unwrap();
        std::os::unix::fs::symlink(&other, folder.path().join(format!("s.prom.{}.new", std::process::id()))).unwrap();
        write(&sample(), &file).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "before");
        assert!(file.symlink_metadata().unwrap().is_file());
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stillpoint.prom");
        fs::write(&file, "before").unwrap();
        write(&sample(), &file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), text(&sample()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
