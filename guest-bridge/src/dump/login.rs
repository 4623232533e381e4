//! Who the client in the guest is to the server, and where that is.

use crate::database::{Credentials, server::Flavour};

/// How the dump client gets into the server. Without credentials it is root on the server's socket, as an administrator in the guest would
/// be, or who the guest's own option files say.
#[derive(Clone, Debug)]
pub struct Login {
    /// Whose server it is: its own client has to make the dump.
    pub flavour: Flavour,
    /// The account. It goes into a file that only root can read, in memory, and that is removed once the client has it.
    pub credentials: Option<Credentials>,
    /// A path in the guest, for a server that is not where the client looks.
    pub socket: Option<String>,
}

impl Login {
    /// What the script calls the product.
    pub(super) fn product_word(&self) -> &'static str {
        match self.flavour {
            Flavour::MariaDb => "mariadb",
            Flavour::MySql | Flavour::Percona => "mysql",
        }
    }

    pub(super) fn socket_argument(&self) -> Option<String> {
        self.socket.as_ref().map(|socket| format!("--socket={socket}"))
    }

    pub(super) fn option_file(&self) -> String {
        self.credentials.as_ref().map(Credentials::to_option_file).unwrap_or_default()
    }
}
