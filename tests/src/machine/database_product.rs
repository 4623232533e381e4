//! Which database server the tests of a run start.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::program::run;

/// Names a folder that `tests/servers/build` made; where it is not set, the MariaDB of this machine is started.
const FOLDER: &str = "STILLPOINT_SERVER";

/// Without a mount of theirs that anybody else sees.
const TAKE_THEIR_PLACE: &str = "mount --bind \"$1/client\" /usr/bin/mariadb && \
     mount --bind \"$1/my_print_defaults\" /usr/bin/my_print_defaults && mount --bind \"$1/dump\" /usr/bin/mysqldump && \
     shift && exec \"$@\"";

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// MariaDB, of this machine or of a later Debian.
    MariaDb,
    /// MySQL.
    MySql,
}

/// A server's programs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Whose they are.
    pub product: Product,
    folder: Option<PathBuf>,
}

impl Programs {
    /// Those of this run.
    pub fn of_this_run() -> Self {
        let folder = std::env::var_os(FOLDER).map(PathBuf::from);
        let mut programs = Self { product: Product::MariaDb, folder };
        if !programs.version().contains("MariaDB") {
            programs.product = Product::MySql;
        }
        programs
    }

    /// The server's program.
    pub fn server(&self) -> String {
        self.program("server", "mariadbd")
    }

    /// The client, before any option.
    pub fn client(&self) -> Command {
        Command::new(self.program("client", "mariadb"))
    }

    /// A command that becomes `program`, to which the clients of these programs are those of this machine.
    pub fn at_home(&self, program: &str) -> Command {
        let Some(folder) = &self.folder else { return Command::new(program) };
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation=private", "/bin/sh", "-c", TAKE_THEIR_PLACE, "sh"]);
        command.arg(folder.join("bin")).arg(program);
        command
    }

    /// What the server says of its version.
    pub fn version(&self) -> String {
        run(&self.server(), &["--no-defaults", "--version"])
    }

    /// A name for what is kept of these programs.
    pub fn name(&self) -> String {
        let folder = self.folder.as_ref().and_then(|folder| folder.file_name());
        folder.map_or_else(|| "mariadb".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// Makes a new data directory at `data`, with a root that needs no password.
    pub fn make_data(&self, data: &Path) {
        if let Some(folder) = &self.folder {
            run(folder.join("bin/make-data").to_str().unwrap(), &[data]);
            return;
        }
        let datadir = format!("--datadir={}", data.display());
        let root = ["--user=root", "--auth-root-authentication-method=normal"];
        let small = ["--skip-test-db", "--innodb-log-file-size=8M"];
        run("mariadb-install-db", &[&["--no-defaults"], &root[..], &small, &[&datadir]].concat());
    }

    fn program(&self, name: &str, of_this_machine: &str) -> String {
        let bin = self.folder.as_ref().map(|folder| folder.join("bin").join(name));
        bin.map_or_else(|| of_this_machine.to_owned(), |program| program.display().to_string())
    }
}
