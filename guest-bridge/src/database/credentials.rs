//! Who we are to the database server, without ever showing the password.

use std::{fmt, fs, io::Read, os::unix::fs::PermissionsExt, path::Path};

use super::DatabaseError;

/// A user name and, where the account has one, its password. `Debug` shows the name only.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: Option<String>,
}

/// Larger than any option file that people write.
const MAX_FILE_BYTES: u64 = 64 << 10;

impl Credentials {
    /// An account.
    pub fn new(user: impl Into<String>, password: Option<String>) -> Self {
        Self { user: user.into(), password }
    }

    /// Reads `user` and `password` of the section `[client]` of an option file such as `~/.my.cnf`. Without a `user`, `root` is meant.
    /// `!include` is not followed.
    ///
    /// # Errors
    /// [`DatabaseError::Credentials`] if the file cannot be read, is accessible to everybody, or names no password.
    pub fn from_file(path: &Path) -> Result<Self, DatabaseError> {
        let refuse = |problem: String| DatabaseError::Credentials { origin: path.display().to_string(), problem };
        let file = fs::File::open(path).map_err(|error| refuse(error.to_string()))?;
        let metadata = file.metadata().map_err(|error| refuse(error.to_string()))?;
        let mode = metadata.permissions().mode();
        if !metadata.is_file() {
            return Err(refuse("it is not a regular file".to_owned()));
        }
        if mode & 0o007 != 0 {
            return Err(refuse(format!("mode {:04o} lets everybody at the password; `chmod 600` it", mode & 0o7777)));
        }
        if mode & 0o070 != 0 {
            tracing::warn!(path = %path.display(), "the credentials file is accessible to its group");
        }
        let mut text = String::new();
        file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(|error| refuse(error.to_string()))?;
        Self::from_option_file(&text).map_err(refuse)
    }

    /// Takes them from the environment variables of these names.
    ///
    /// # Errors
    /// [`DatabaseError::Credentials`] if one is not set, or not UTF-8.
    pub fn from_environment(user_variable: &str, password_variable: &str) -> Result<Self, DatabaseError> {
        let read = |name: &str| {
            std::env::var(name).map_err(|error| DatabaseError::Credentials {
                origin: format!("environment variable {name}"),
                // Not `error.to_string()`: that of a value that is not UTF-8 shows the value.
                problem: match error {
                    std::env::VarError::NotPresent => "it is not set".to_owned(),
                    std::env::VarError::NotUnicode(_) => "it is not UTF-8".to_owned(),
                },
            })
        };
        Ok(Self { user: read(user_variable)?, password: Some(read(password_variable)?) })
    }

    /// The account's name.
    pub fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The format: <https://mariadb.com/kb/en/configuring-mariadb-with-option-files/>.
    fn from_option_file(text: &str) -> Result<Self, String> {
        let (mut in_client, mut user, mut password) = (false, None, None);
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';', '!']) {
                continue;
            }
            if let Some(section) = line.strip_prefix('[') {
                in_client = section.split(']').next().is_some_and(|name| name.trim() == "client");
                continue;
            }
            if !in_client {
                continue;
            }
            let (name, value) = match line.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (line, None),
            };
            match (name, value) {
                ("user", Some(value)) => user = Some(unquote(value)),
                ("password", Some(value)) => password = Some(unquote(value)),
                ("user" | "password", None) => return Err(format!("line {}: {name} has no value", index + 1)),
                _ => {}
            }
        }
        if password.is_none() && user.is_none() {
            return Err("its section [client] has neither user nor password".to_owned());
        }
        Ok(Self { user: user.unwrap_or_else(|| "root".to_owned()), password })
    }

    /// The same as an option file, for a client in the guest.
    pub(crate) fn to_option_file(&self) -> String {
        let quoted = |value: &str| {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r");
            format!("\"{}\"", escaped.replace('\t', "\\t"))
        };
        let mut text = format!("[client]\nuser={}\n", quoted(&self.user));
        if let Some(password) = &self.password {
            text += &format!("password={}\n", quoted(password));
        }
        text
    }
}

/// Removes quotes or a trailing comment, and resolves escapes.
fn unquote(value: &str) -> String {
    let inner = match value.chars().next() {
        Some(quote @ ('"' | '\'')) if value.len() > 1 && value.ends_with(quote) => &value[1..value.len() - 1],
        _ => value.split(" #").next().unwrap_or(value).trim_end(),
    };
    let mut plain = String::new();
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            plain.push(char);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('t') => plain.push('\t'),
            Some('b') => plain.push('\u{8}'),
            Some('s') => plain.push(' '),
            Some(quote @ ('"' | '\'' | '\\')) => plain.push(quote),
            Some(other) => plain.extend(['\\', other]),
            None => plain.push('\\'),
        }
    }
    plain
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_file_gives_user_and_password_of_its_client_section() {
        let text = "[mysqld]\npassword=wrong\n# note\n[client]\nuser = backup # who\npassword=\"p#1 \\\"x\\\\\"\n[mysql]\nuser=no\n";
        assert_eq!(Credentials::from_option_file(text), Ok(Credentials::new("backup", Some("p#1 \"x\\".to_owned()))));
    }

    #[test]
    fn a_hash_inside_a_password_is_no_comment() {
        let read = Credentials::from_option_file("[client]\npassword=a#b\n").unwrap();
        assert_eq!(read.password(), Some("a#b"));
        assert_eq!(read.user(), "root");
    }

    #[test]
    fn what_is_written_for_a_client_reads_back_the_same() {
        let written = Credentials::new("o'b\"r", Some("tab\t back\\slash \"quote\" 'single' #; \nline".to_owned()));
        assert_eq!(Credentials::from_option_file(&written.to_option_file()), Ok(written));
    }

    #[test]
    fn a_file_that_everybody_may_read_is_refused() {
        let path = std::env::temp_dir().join(format!("stillpoint-credentials-{}", std::process::id()));
        fs::write(&path, "[client]\nuser=a\npassword=geheim\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let open = Credentials::from_file(&path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let closed = Credentials::from_file(&path);
        fs::remove_file(&path).unwrap();
        let error = open.unwrap_err().to_string();
        assert!(error.contains("0644") && !error.contains("geheim"), "{error}");
        assert_eq!(closed.unwrap().user(), "a");
    }

    #[test]
    fn debug_shows_no_password() {
        assert!(!format!("{:?}", Credentials::new("root", Some("geheim".to_owned()))).contains("geheim"));
    }
}
