//! What the server answers, and what it changes by that.
#![allow(clippy::panic, reason = "a statement that the simulation does not know is a failed test")]

use super::State;
use crate::database::Rows;

impl State {
    /// What `statement` of session `id` returns.
    pub(super) fn answer(&mut self, id: u64, statement: &str) -> Rows {
        let one = |column: &str, value: &str| Rows::of(&[column], &[&[Some(value)]]);
        match statement {
            "SELECT CONNECTION_ID()" => return one("CONNECTION_ID()", &id.to_string()),
            "SHOW MASTER STATUS" => {
                let position = self.position.to_string();
                if self.is_measured {
                    self.position = self.position_after.unwrap_or(self.position);
                }
                let row: &[Option<&str>] = &[Some("binlog.000001"), Some(&position), Some(""), Some("")];
                return Rows::of(&["File", "Position", "Binlog_Do_DB", "Binlog_Ignore_DB"], &[row]);
            }
            "SELECT @@GLOBAL.gtid_binlog_pos AS gtid" => return one("gtid", "0-1-7"),
            "SHOW ALL SLAVES STATUS" => {
                let columns =
                    ["Master_Host", "Master_Port", "Relay_Master_Log_File", "Exec_Master_Log_Pos", "Gtid_Slave_Pos"];
                let position = self.position.to_string();
                let row = self.source.as_deref().map(|source| {
                    [Some(source), Some("3306"), Some("source.000001"), Some(position.as_str()), Some("0-2-5")]
                });
                return Rows::of(&columns, row.as_ref().map(|row| &row[..]).as_slice());
            }
            _ if statement.starts_with("SELECT @@GLOBAL.gtid_slave_pos") => {
                let gtids = [self.source.as_ref().map_or("", |_| "0-2-5"), "0-1-7"].map(Some);
                return Rows::of(&["gtid_slave_pos", "gtid_current_pos"], &[&gtids]);
            }
            _ if statement.starts_with("SHOW GLOBAL STATUS") => {
                return Rows::of(&["Variable_name", "Value"], &[&[Some("Innodb_lsn_current"), Some("48214")]]);
            }
            "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit" => {
                return one("value", &self.flush_log_at_trx_commit.to_string());
            }
            "SET GLOBAL innodb_flush_log_at_trx_commit = 0" => self.flush_log_at_trx_commit = 0,
            "SET GLOBAL innodb_flush_log_at_trx_commit = 1" => self.flush_log_at_trx_commit = 1,
            "SET @stillpoint_asked = NOW(6)" => self.is_measured = true,
            "FLUSH LOCAL ENGINE LOGS" => {}
            "SELECT TIMESTAMPDIFF(MICROSECOND, @stillpoint_asked, NOW(6))" => return one("waited", "700"),
            "SELECT CURRENT_USER()" => return one("CURRENT_USER()", "root@localhost"),
            "SHOW GRANTS" => return one("Grants", &self.grants),
            "BACKUP STAGE BLOCK_COMMIT" => self.locked_by = Some(id),
            "BACKUP STAGE END" => self.locked_by = None,
            "BACKUP STAGE START" => {}
            _ if statement.starts_with("SET SESSION ") => {}
            _ if statement.starts_with("SHOW GLOBAL VARIABLES") => {
                let flush_log = self.flush_log_at_trx_commit.to_string();
                let variables: [&[Option<&str>]; 9] = [
                    &[Some("version"), Some("10.11.19-MariaDB-log")],
                    &[Some("version_comment"), Some("simulated")],
                    &[Some("hostname"), Some("guest")],
                    &[Some("datadir"), Some("/var/lib/mysql/")],
                    &[Some("log_bin"), Some(if self.log_bin { "ON" } else { "OFF" })],
                    &[Some("log_bin_basename"), Some(if self.log_bin { "/var/lib/mysql/binlog" } else { "" })],
                    &[Some("innodb_flush_log_at_trx_commit"), Some(&flush_log)],
                    &[Some("sync_binlog"), Some("1")],
                    &[Some("innodb_doublewrite"), Some("ON")],
                ];
                return Rows::of(&["Variable_name", "Value"], &variables);
            }
            _ if statement.starts_with("SELECT COUNT(*) FROM (SELECT 1 FROM information_schema.TABLES") => {
                return one("COUNT(*)", "0");
            }
            // Whoever kept the lock from being granted is gone again.
            _ if statement.contains("information_schema.") || statement.contains("performance_schema.") => {}
            other => panic!("the simulated MariaDB does not know `{other}`"),
        }
        Rows::default()
    }
}
