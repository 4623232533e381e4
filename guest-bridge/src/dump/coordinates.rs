//! The coordinates that MariaDB's client writes into its dump, as comments.

use super::Ended;
use crate::database::server::Coordinates;

/// What `--master-data=2 --gtid` has written, of a dump that was carried out; `None` where there is nothing of it, as in a dump of MySQL.
///
/// The file and the position are in front of all data, where nothing else can be. The GTID position is there, too, or (newer clients)
/// behind all data.
pub fn written_coordinates(ended: &Ended) -> Option<Coordinates> {
    let head = String::from_utf8_lossy(&ended.head);
    let comments: Vec<&str> = head.lines().take_while(|line| !is_data(line)).collect();
    let (file, position) = comments.iter().find_map(|line| place(line))?;
    let gtid = match comments.iter().find_map(|line| gtid(line)) {
        Some(gtid) => Some(gtid),
        None => String::from_utf8_lossy(&ended.tail).lines().rev().find_map(gtid),
    };
    Some(Coordinates { file, position, gtid: gtid.filter(|gtid| !gtid.is_empty()) })
}

fn is_data(line: &str) -> bool {
    ["-- Current Database:", "-- Table structure", "CREATE ", "DROP ", "INSERT ", "USE "]
        .iter()
        .any(|it| line.starts_with(it))
}

/// `-- CHANGE MASTER TO MASTER_LOG_FILE='binlog.000001', MASTER_LOG_POS=776;`
fn place(line: &str) -> Option<(String, u64)> {
    let rest = line.strip_prefix("-- CHANGE MASTER TO MASTER_LOG_FILE='")?;
    let (file, rest) = rest.split_once('\'')?;
    let position = rest.strip_prefix(", MASTER_LOG_POS=")?.strip_suffix(';')?.parse().ok()?;
    Some((file.to_owned(), position))
}

/// `-- SET GLOBAL gtid_slave_pos='0-1-3';`
fn gtid(line: &str) -> Option<String> {
    let text = line.strip_prefix("-- SET GLOBAL gtid_slave_pos='")?.strip_suffix("';")?;
    let is_gtid = |byte| matches!(byte, b'0'..=b'9' | b'-' | b',');
    text.bytes().all(is_gtid).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Exit;

    const PLACE: &str = "-- MariaDB dump\n-- CHANGE MASTER TO MASTER_USE_GTID=slave_pos;\n\n\
                         -- CHANGE MASTER TO MASTER_LOG_FILE='binlog.000001', MASTER_LOG_POS=776;\n";
    const GTID: &str = "-- SET GLOBAL gtid_slave_pos='0-1-3,1-2-9';\n";

    fn read(head: &str, tail: &str) -> Option<Coordinates> {
        written_coordinates(&Ended {
            exit: Exit::Code(0),
            stderr: String::new(),
            counted_bytes: 0,
            received_bytes: 0,
            head: head.into(),
            tail: tail.into(),
        })
    }

    #[test]
    fn coordinates_are_read_with_the_gtid_before_or_behind_the_data() {
        let wanted =
            Coordinates { file: "binlog.000001".to_owned(), position: 776, gtid: Some("0-1-3,1-2-9".to_owned()) };
        assert_eq!(read(&format!("{PLACE}{GTID}\n--\n-- Current Database: `a`\n"), ""), Some(wanted.clone()));
        let behind = format!("UNLOCK TABLES;\n{GTID}-- Dump completed\n");
        assert_eq!(read(PLACE, &behind), Some(wanted.clone()));
        assert_eq!(read(PLACE, "UNLOCK TABLES;\n"), Some(Coordinates { gtid: None, ..wanted }));
    }

    #[test]
    fn what_stands_among_the_data_is_not_believed() {
        assert_eq!(read(&format!("-- MySQL dump\n\n-- Current Database: `a`\n{PLACE}"), ""), None);
        let other = format!("-- SET GLOBAL gtid_slave_pos='9-9-9';\n{GTID}");
        assert_eq!(read(PLACE, &other).unwrap().gtid.unwrap(), "0-1-3,1-2-9", "the last one is the client's");
        assert_eq!(read(PLACE, "-- SET GLOBAL gtid_slave_pos='x; DROP';\n").unwrap().gtid, None);
    }
}
