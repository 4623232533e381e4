//! What helps where no session with the database comes about, by the words of server and client; and where no lock does.

use super::{holder::Holder, lock_method::WAITS_FOR_BACKUPS};

const FULL: &str =
    "all connections of the server are taken: raise max_connections, or see in its process list who has them";
const TLS: &str = "it is about TLS: --db-tls and --db-ca say what a session by tcp: does (a certificate that the server has made for itself \
                   is for no host, and no CA vouches for it), the option files of the guest (ssl in [client]) what its own client \
                   does; one by unix: speaks none";
const OPTION: &str = "an option file of the guest has what its client does not know: `my_print_defaults client mysql mariadb \
                      mariadb-client` in the guest shows it";
const DATABASE: &str = "an option file of the guest names a database that does not exist: look into [client] and [mysql] for \
                        `database`";

const OFFLINE: &str = "the server is in offline_mode: an account with SUPER (CONNECTION_ADMIN) is let in";

/// Client and network session say `ERROR 1040 (08004): ...`; what the client says before it connects has no number.
const HINTS: [(&str, &str); 10] = [
    ("TLS ", TLS),
    ("ERROR 1040 ", FULL),
    ("ERROR 1203 ", FULL),
    ("ERROR 1226 ", FULL),
    ("ERROR 1049 ", DATABASE),
    ("ERROR 2026 ", TLS),
    ("ERROR 3159 ", TLS),
    ("ERROR 3032 ", OFFLINE),
    ("unknown option", OPTION),
    ("unknown variable", OPTION),
];

fn by_words(problem: &str) -> Option<&'static str> {
    HINTS.iter().find(|(words, _)| problem.contains(words)).map(|(_, hint)| *hint)
}

/// Where nobody answers, or what answers is no session.
pub(super) fn unreachable(problem: &str) -> &'static str {
    by_words(problem).unwrap_or("is the server running, and does it listen there?")
}

/// Where the server answers, and lets nobody in, or asks for what is not known here: then it has no `code`.
pub(super) fn turned_away(code: Option<u16>, problem: &str) -> &'static str {
    by_words(problem).unwrap_or(match code {
        Some(_) => "see the server's error log",
        None => {
            "give the account a plugin that is known here (mysql_native_password, caching_sha2_password, unix_socket), or go \
             through the guest's own client with --db agent"
        }
    })
}

/// Where the lock was waited for in vain at `statement`.
pub(super) fn not_granted(statement: &str, holders: &[Holder]) -> &'static str {
    if statement == WAITS_FOR_BACKUPS {
        "let that backup end, or KILL its session, or wait longer with --lock-deadline; nothing is locked now"
    } else if holders.iter().any(|holder| !holder.is_idle) {
        "let that statement end or KILL its thread, or wait longer with --lock-deadline; nothing is locked now"
    } else if holders.is_empty() {
        "try again when the server does less, or wait longer with --lock-deadline; nothing is locked now"
    } else {
        "end that session or KILL its thread, or wait longer with --lock-deadline; nothing is locked now"
    }
}

/// What an account needs, where the server is not known yet.
macro_rules! needs {
    () => {
        "RELOAD, PROCESS, BINLOG MONITOR and on a replica SLAVE MONITOR (before MariaDB 10.5, and on MySQL, REPLICATION CLIENT for \
         the last two)"
    };
}

/// Where the account is refused.
pub(super) fn denied(address: &str, message: &str) -> &'static str {
    let without_password = message.contains("using password: NO");
    match address.split(':').next() {
        Some("tcp") => {
            concat!(
                "check the account that --db-credentials names, and that it may come from this host; it needs ",
                needs!(),
                ". One that requires TLS is refused in the same words: use --db agent"
            )
        }
        Some("unix") if without_password => {
            concat!("no password was sent: name an account with --db-credentials; it needs ", needs!())
        }
        Some("unix") => {
            concat!("check the account that --db-credentials names; it needs ", needs!())
        }
        _ if without_password => {
            "no password was sent: put user and password into [client] of the guest's /root/.my.cnf, or name an account with \
             --db-credentials"
        }
        _ => {
            concat!(
                "check user and password in the guest's /root/.my.cnf, or in the file of --db-credentials where one is named; \
                 the account needs ",
                needs!()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::database::{DatabaseError, Statement};

    fn unreachable(problem: &str) -> String {
        let (address, problem) = ("unix:/run/mysqld/mysqld.sock".to_owned(), problem.to_owned());
        DatabaseError::Unreachable { address, problem }.hint().unwrap().into_owned()
    }

    fn denied(address: &str, message: &str) -> String {
        let (address, user, message) = (address.to_owned(), "root".to_owned(), Statement::new(message));
        DatabaseError::AccessDenied { address, user, message }.hint().unwrap().into_owned()
    }

    #[test]
    fn what_keeps_a_session_from_being_opened_has_the_hint_for_it() {
        assert!(unreachable("ERROR 1040 (08004): Too many connections").contains("max_connections"));
        assert!(unreachable("Server error: `ERROR 1040 (08004): Too many connections'").contains("max_connections"));
        assert!(unreachable("ERROR 1049 (42000): Unknown database 'gone'").contains("`database`"));
        assert!(unreachable("ERROR 2026 (HY000): TLS/SSL error: SSL is required").contains("TLS"));
        assert!(unreachable("ERROR 3159 (HY000): Connections using insecure transport are prohibited").contains("TLS"));
        assert!(unreachable("exit code 7: mariadb: unknown option '--nonsense'").contains("my_print_defaults"));
        assert!(unreachable("ERROR 2002 (HY000): Can't connect to local server").contains("running"));
    }

    #[test]
    fn a_server_that_turns_away_has_the_hint_for_its_reason() {
        let turned_away = |code, problem: &str| {
            let (address, problem) = ("tcp:db1:3306".to_owned(), problem.to_owned());
            DatabaseError::TurnedAway { address, code, problem }.hint().unwrap().into_owned()
        };
        assert!(turned_away(Some(1040), "ERROR 1040 (08004): Too many connections").contains("max_connections"));
        assert!(turned_away(Some(3032), "ERROR 3032 (HY000): The server is in offline mode").contains("offline_mode"));
        assert!(turned_away(Some(1129), "ERROR 1129 (HY000): Host is blocked").contains("error log"));
        assert!(turned_away(None, "Unknown authentication plugin `sha256_password`").contains("plugin"));
    }

    #[test]
    fn a_refused_account_is_looked_for_where_it_came_from() {
        let agent = "the guest's own socket, through the guest agent";
        let no_password = "Access denied for user 'root'@'localhost' (using password: NO)";
        let password = "Access denied for user 'root'@'localhost' (using password: YES)";
        assert!(denied(agent, no_password).contains("/root/.my.cnf"));
        assert!(denied(agent, password).contains("/root/.my.cnf"));
        assert!(!denied("unix:/run/x.sock", no_password).contains(".my.cnf"));
        assert!(denied("unix:/run/x.sock", no_password).contains("no password was sent"));
        for (address, message) in [(agent, password), ("unix:/run/x.sock", no_password), ("unix:/run/x.sock", password)]
        {
            assert!(
                denied(address, message).contains("RELOAD, PROCESS, BINLOG MONITOR and on a replica SLAVE MONITOR")
            );
        }
        assert!(denied("tcp:db1:3306", password).contains("TLS"));
    }
}
