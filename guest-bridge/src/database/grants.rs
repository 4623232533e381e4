//! What an account may do on its server, as far as `SHOW GRANTS` says it.

use super::Rows;

/// What asks for it. The answer may hold a password's hash: it is read here, and shown nowhere.
pub(crate) const SHOW_GRANTS: &str = "SHOW GRANTS";

/// The privileges on all of a server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    /// In capitals.
    global: Vec<String>,
    /// There are roles, whose privileges are not all listed, or parts that were taken back.
    is_partial: bool,
}

/// Whether an account has a privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Yes,
    No,
    /// A role may give it, or a part of it was taken back.
    Unknown,
}

impl Grants {
    pub(crate) fn read(rows: &Rows) -> Self {
        let mut grants = Self::default();
        for line in rows.rows.iter().filter_map(|row| row.first()?.as_deref()) {
            match line.strip_prefix("GRANT ").and_then(|rest| rest.split_once(" ON ")) {
                Some((privileges, object)) if object.starts_with("*.* TO ") => {
                    grants.global.extend(privileges.split(',').map(|privilege| privilege.trim().to_ascii_uppercase()));
                }
                // A schema, a table, a proxy.
                Some(_) => {}
                None => grants.is_partial = true,
            }
        }
        grants
    }

    /// Whether there is one of `alternatives`.
    pub(crate) fn hold(&self, alternatives: &[&str]) -> Holds {
        let is_there = |wanted: &str| self.global.iter().any(|one| one == wanted);
        let all = is_there("ALL PRIVILEGES") || is_there("ALL");
        match all || alternatives.iter().any(|one| is_there(one)) {
            true => Holds::Yes,
            false if self.is_partial || self.global.is_empty() => Holds::Unknown,
            false => Holds::No,
        }
    }

    /// Whether the account sees every table of the server: one has to have a right on a table to see it.
    pub(crate) fn show_all_tables(&self) -> bool {
        self.hold(&["SELECT"]) == Holds::Yes && !self.is_partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(lines: &[&str]) -> Grants {
        let rows = lines.iter().map(|line| vec![Some((*line).to_owned())]).collect();
        Grants::read(&Rows { columns: vec!["Grants for a@b".to_owned()], rows })
    }

    #[test]
    fn privileges_on_the_whole_server_are_read() {
        let small = grants(&[
            "GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO `backup`@`%` IDENTIFIED BY PASSWORD '*00'",
            "GRANT SELECT ON `shop`.* TO `backup`@`%`",
        ]);
        assert_eq!(small.hold(&["RELOAD"]), Holds::Yes);
        assert_eq!(small.hold(&["REPLICATION CLIENT", "BINLOG MONITOR"]), Holds::Yes);
        assert_eq!(small.hold(&["SUPER"]), Holds::No);
        assert!(!small.show_all_tables());
    }

    #[test]
    fn an_administrator_has_them_all() {
        for line in ["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION", "GRANT ALL ON *.* TO a@b"] {
            let root = grants(&[line, "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION"]);
            assert_eq!(root.hold(&["BACKUP_ADMIN"]), Holds::Yes);
            assert!(root.show_all_tables());
        }
    }

    #[test]
    fn what_a_role_may_give_is_not_known_to_be_missing() {
        let with_role = grants(&["GRANT USAGE ON *.* TO `a`@`b`", "GRANT `backups`@`%` TO `a`@`b`"]);
        assert_eq!(with_role.hold(&["RELOAD"]), Holds::Unknown);
        assert_eq!(grants(&["GRANT USAGE ON *.* TO `a`@`b`"]).hold(&["RELOAD"]), Holds::No);
        assert_eq!(grants(&[]).hold(&["RELOAD"]), Holds::Unknown);
    }

    #[test]
    fn who_lost_a_part_of_a_right_does_not_see_all_tables() {
        let partial = grants(&["GRANT SELECT ON *.* TO `a`@`b`", "REVOKE SELECT ON `shop`.* FROM `a`@`b`"]);
        assert!(!partial.show_all_tables());
    }
}
