//! Makes a data directory out of a backup safe to start a server on.
//!
//! What is in it comes from the guest and names files of the guest. On this machine the same names are other files: a
//! server would write to them, purge them, or go on replicating from wherever the guest did.

use std::fs;
use std::path::{Path, PathBuf};

use crate::machine::database_product::Product;

/// What belongs to replication, besides the relay logs' index: a server that has it opens the relay logs by the paths in
/// it, and knows a source that it could go on from.
const REPLICATION: [&str; 3] = ["master.info", "relay-log.info", "multi-master.info"];

/// The binary log of a prepared data directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Binlog {
    /// `--log-bin`: the name of its files without their numbers.
    pub base: String,
    /// `--log-bin-index`: the file that lists them.
    pub index: String,
}

/// Looks through the data directory `data`, and changes what would let a server reach out of it. What belongs to
/// replication is moved to `aside`.
///
/// # Errors
/// Whose data they are, where the `server` (its version) of `product` must not be started on them; what in them points elsewhere.
pub(super) fn prepare(data: &Path, aside: &Path, product: Product, server: &str) -> Result<Binlog, String> {
    // First: what is read of it afterwards is then a file of its own.
    stays_inside(data)?;
    match product {
        Product::MariaDb => is_of_mariadb(data, server)?,
        Product::MySql => is_of_mysql(data, server)?,
    }
    let indexes = indexes(data)?;
    fs::create_dir_all(aside).map_err(|error| format!("{}: {error}", aside.display()))?;
    for name in entries(data)?.iter().filter_map(|path| path.file_name()?.to_str()) {
        if is_of_replication(name) {
            fs::rename(data.join(name), aside.join(name)).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    match &indexes[..] {
        [index] => rewrite(data, index),
        // A server without its binary log rolls back what was only prepared, and says nothing of it.
        [] => Err("there is no index of a binary log in it".to_owned()),
        several => Err(format!("which of these is the index of the binary log: {}", several.join(", "))),
    }
}

/// `server` is a version such as `10.11.19-MariaDB`.
fn is_of_mariadb(data: &Path, server: &str) -> Result<(), String> {
    let read = |name| fs::read_to_string(data.join(name)).ok();
    let there = |name: &str| fs::symlink_metadata(data.join(name)).is_ok();
    let version = read("mariadb_upgrade_info").or_else(|| read("mysql_upgrade_info"));
    let version = version.as_deref().map(|text| text.trim_matches(['\0', ' ', '\n']));
    if let Some(mark) = ["mysql.ibd", "auto.cnf", "mysql_upgrade_history"].into_iter().find(|mark| there(mark)) {
        return Err(format!("these are the data of MySQL, by their {mark}, not of MariaDB"));
    }
    if let Some(version) = version.filter(|version| !version.contains("MariaDB")) {
        return Err(format!("these are the data of MySQL {}, not of MariaDB", version.escape_debug()));
    }
    if !there("aria_log_control") {
        return Err("these are not the data of MariaDB: there is no aria_log_control".to_owned());
    }
    // An older server comes up on newer data, and must not be believed then.
    match version.map(|version| (version, release(version), release(server))) {
        Some((version, data, server)) if data.is_none() || server.is_none() || data > server => {
            Err(format!("these are the data of MariaDB {}, too new for this server", version.escape_debug()))
        }
        _ => Ok(()),
    }
}

/// `server` is a version such as `9.7.4 for Linux`. The data have a history, in JSON, of the versions that ran on them.
fn is_of_mysql(data: &Path, server: &str) -> Result<(), String> {
    let history = fs::read_to_string(data.join("mysql_upgrade_history")).unwrap_or_default();
    let version = history.rsplit("\"version\":").next().and_then(|text| text.split('"').nth(1)).unwrap_or_default();
    match (release(version), release(server)) {
        (Some(data), Some(server)) if data == server => Ok(()),
        (Some(_), _) => Err(format!("these are the data of MySQL {}, not of this server's", version.escape_debug())),
        (None, _) => Err("these are not the data of a MySQL that says its version".to_owned()),
    }
}

/// The first two numbers of a version: what decides whether one server understands another's files.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Neither a symlink nor one of InnoDB's links (`.isl`, of `DATA DIRECTORY`) leads out of `data`.
fn stays_inside(data: &Path) -> Result<(), String> {
    let is_folder = fs::symlink_metadata(data).is_ok_and(|root| root.is_dir());
    let root = data.canonicalize().ok().filter(|_| is_folder);
    let root = root.ok_or_else(|| format!("{} is no folder", data.display()))?;
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)? {
            let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
            let kind = fs::symlink_metadata(&path).map_err(|error| format!("{name}: {error}"))?.file_type();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).map_err(|error| format!("{name}: {error}"))?;
                // One to nowhere would be created by whoever writes to it.
                let inside = path.canonicalize().is_ok_and(|end| end.starts_with(&root));
                if target.is_absolute() || !inside {
                    return Err(format!("{name} is a symlink out of it, to {}", target.display()));
                }
            } else if path.extension().is_some_and(|extension| extension == "isl") {
                let target = fs::read_to_string(&path).unwrap_or_default();
                return Err(format!("{name} is a tablespace elsewhere, at {}", target.trim().escape_debug()));
            } else if !kind.is_file() {
                return Err(format!("{name} is no file, folder or symlink"));
            }
        }
    }
    Ok(())
}

/// The names of the indexes of binary logs.
fn indexes(data: &Path) -> Result<Vec<String>, String> {
    let names = entries(data)?.into_iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    Ok(names.filter(|name| name.ends_with(".index") && !is_of_replication(name)).collect())
}

/// Also of a replica with several sources, whose files have their names in them.
fn is_of_replication(name: &str) -> bool {
    let named = |stem: &str| name.starts_with(stem) && name.ends_with(".info");
    REPLICATION.contains(&name)
        || named("master-")
        || named("relay-log-")
        || (name.contains("relay") && name.ends_with(".index"))
}

/// Makes every line of the index `./NAME`, whatever its path was in the guest.
fn rewrite(data: &Path, index: &str) -> Result<Binlog, String> {
    let path = data.join(index);
    let text = fs::read_to_string(&path).map_err(|error| format!("{index}: {error}"))?;
    let mut lines = String::new();
    let mut base = None;
    for line in text.lines() {
        let name = line.rsplit('/').next().unwrap_or(line);
        let stem = name.rsplit_once('.').filter(|(stem, number)| {
            !stem.is_empty() && !stem.contains(['.', '\\', '\0']) && number.parse::<u32>().is_ok()
        });
        let (stem, _) = stem.ok_or_else(|| format!("{index} lists `{}`, no binary log", line.escape_debug()))?;
        base = Some(stem.to_owned());
        lines.push_str(&format!("./{name}\n"));
    }
    let base = base.ok_or_else(|| format!("{index} lists no binary log"))?;
    fs::write(&path, lines).map_err(|error| format!("{index}: {error}"))?;
    Ok(Binlog { base, index: index.to_owned() })
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let fail = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::read_dir(folder).map_err(fail)?.map(|entry| entry.map(|entry| entry.path()).map_err(fail)).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    const MYSQL: &str = "9.7.4 for Linux on x86_64 ((Debian))";
    const SERVER: &str = "10.11.19-MariaDB-0+deb12u1";

    struct Extracted {
        folder: TempDir,
        data: PathBuf,
    }

    /// A data directory of MariaDB 10.11 with these files besides.
    fn extracted(files: &[(&str, &str)]) -> Extracted {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("mysql");
        fs::create_dir_all(data.join("shop")).unwrap();
        let usual = [("aria_log_control", ""), ("binlog.index", "./binlog.000001\n"), ("shop/t.frm", "")];
        for (name, text) in [&usual[..], files].concat() {
            fs::write(data.join(name), text).unwrap();
        }
        Extracted { folder, data }
    }

    impl Extracted {
        fn prepare(&self) -> Result<Binlog, String> {
            prepare(&self.data, &self.folder.path().join("aside"), Product::MariaDb, SERVER)
        }

        fn index(&self) -> String {
            fs::read_to_string(self.data.join("binlog.index")).unwrap()
        }
    }

    fn refused(files: &[(&str, &str)]) -> String {
        extracted(files).prepare().unwrap_err()
    }

    #[test]
    fn every_line_of_the_index_names_a_file_in_the_folder() {
        let index = "/var/lib/mysql/binlog.000001\n/srv/logs/binlog.000002\n./binlog.000003\nbinlog.000004\n../../binlog.000005\n";
        let extracted = extracted(&[("binlog.index", index)]);
        assert_eq!(extracted.prepare(), Ok(Binlog { base: "binlog".into(), index: "binlog.index".into() }));
        assert_eq!(
            extracted.index(),
            "./binlog.000001\n./binlog.000002\n./binlog.000003\n./binlog.000004\n./binlog.000005\n"
        );
    }

    #[test]
    fn the_newest_binlog_gives_the_name() {
        let extracted = extracted(&[("binlog.index", "./old-bin.000007\n./vm-bin.000001\n")]);
        assert_eq!(extracted.prepare().unwrap().base, "vm-bin");
    }

    #[test]
    fn an_index_that_lists_something_else_is_refused_and_left_as_it_was() {
        for line in ["/etc/passwd", "..", "/", "", "binlog.", "binlog.000001/..", ".000001", "a.b.000001"] {
            let text = format!("./binlog.000001\n{line}\n");
            let extracted = extracted(&[("binlog.index", &text)]);
            let answer = extracted.prepare();
            assert!(answer.as_ref().is_err_and(|why| why.contains("no binary log")), "{line}: {answer:?}");
            assert_eq!(extracted.index(), text);
        }
        assert!(refused(&[("binlog.index", "")]).contains("lists no binary log"));
    }

    #[test]
    fn without_one_index_of_a_binlog_it_is_refused() {
        let extracted = extracted(&[]);
        fs::rename(extracted.data.join("binlog.index"), extracted.data.join("vm-relay-bin.index")).unwrap();
        assert!(extracted.prepare().unwrap_err().contains("no index"));
        assert!(refused(&[("mysql-bin.index", "./mysql-bin.000001\n")]).contains("mysql-bin.index"));
    }

    #[test]
    fn what_belongs_to_replication_is_moved_away() {
        let names = [
            "master.info",
            "relay-log.info",
            "multi-master.info",
            "master-west.info",
            "relay-log-west.info",
            "vm-relay-bin.index",
            "vm-relay-bin-west.index",
        ];
        let extracted = extracted(&names.map(|name| (name, name)));
        extracted.prepare().unwrap();
        for name in names {
            assert!(!extracted.data.join(name).exists(), "{name}");
            assert_eq!(fs::read_to_string(extracted.folder.path().join("aside").join(name)).unwrap(), name);
        }
    }

    #[test]
    fn a_symlink_that_leaves_the_folder_is_refused_by_name() {
        for target in ["/srv/shop", "/", "../elsewhere", "shop/../../elsewhere", "nowhere"] {
            let extracted = extracted(&[]);
            fs::create_dir(extracted.folder.path().join("elsewhere")).unwrap();
            symlink(target, extracted.data.join("west")).unwrap();
            let why = extracted.prepare().unwrap_err();
            assert_eq!(why, format!("west is a symlink out of it, to {target}"));
        }
    }

    #[test]
    fn a_symlink_in_a_schema_is_seen_as_well_and_one_that_stays_inside_is_none_of_our_business() {
        let extracted = extracted(&[]);
        symlink("../shop/t.frm", extracted.data.join("shop/same.frm")).unwrap();
        extracted.prepare().unwrap();
        symlink("/srv/t.ibd", extracted.data.join("shop/t.ibd")).unwrap();
        assert_eq!(extracted.prepare().unwrap_err(), "shop/t.ibd is a symlink out of it, to /srv/t.ibd");
    }

    #[test]
    fn a_data_directory_that_is_itself_a_symlink_is_refused() {
        let extracted = extracted(&[]);
        let link = extracted.folder.path().join("link");
        symlink(&extracted.data, &link).unwrap();
        let why = prepare(&link, &extracted.folder.path().join("aside"), Product::MariaDb, SERVER).unwrap_err();
        assert!(why.ends_with("is no folder"), "{why}");
    }

    #[test]
    fn a_table_with_a_data_directory_is_refused_by_name() {
        assert_eq!(
            refused(&[("shop/t.isl", "/srv/fast/shop/t.ibd")]),
            "shop/t.isl is a tablespace elsewhere, at /srv/fast/shop/t.ibd"
        );
    }

    #[test]
    fn data_of_another_product_are_refused_by_its_name() {
        assert!(refused(&[("auto.cnf", "")]).contains("MySQL, by their auto.cnf"));
        assert!(refused(&[("mysql.ibd", "")]).contains("MySQL, by their mysql.ibd"));
        assert!(refused(&[("mysql_upgrade_info", "5.7.44")]).contains("MySQL 5.7.44"));
        let extracted = extracted(&[]);
        fs::remove_file(extracted.data.join("aria_log_control")).unwrap();
        assert!(extracted.prepare().unwrap_err().contains("not the data of MariaDB"));
    }

    #[test]
    fn mysql_is_started_on_data_of_its_own_release_only() {
        let history = |version| {
            format!("{{\"upgrade_history\":[{{\"date\":\"2026\",\"version\":\"{version}\",\"maturity\":\"LTS\"}}]}}")
        };
        let prepared = |files: &[(&str, &str)]| {
            let extracted = extracted(files);
            prepare(&extracted.data, &extracted.folder.path().join("aside"), Product::MySql, MYSQL)
        };
        prepared(&[("mysql_upgrade_history", &history("9.7.1"))]).unwrap();
        assert!(prepared(&[("mysql_upgrade_history", &history("8.4.3"))]).unwrap_err().contains("MySQL 8.4.3"));
        assert!(prepared(&[]).unwrap_err().contains("not the data of a MySQL"));
    }

    #[test]
    fn data_of_a_newer_mariadb_are_refused_by_their_version() {
        for (name, version) in [("mariadb_upgrade_info", "11.8.9-MariaDB"), ("mysql_upgrade_info", "11.0.1-MariaDB\n")]
        {
            assert!(refused(&[(name, version)]).contains(&format!("MariaDB {}, too new", version.trim())));
        }
        extracted(&[("mysql_upgrade_info", "10.11.19-MariaDB")]).prepare().unwrap();
        extracted(&[("mysql_upgrade_info", "10.6.2-MariaDB\0")]).prepare().unwrap();
    }
}
