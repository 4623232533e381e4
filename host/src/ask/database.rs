//! The way to the database, as people write it.

use std::fmt;
use std::path::PathBuf;

use guest_bridge::database::net::{Address, TlsWish};

use crate::ask::setting::Setting;

/// The way to the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseRoute {
    /// Through what.
    pub via: Via,
    /// A file with user and password, or `env:USER_VARIABLE:PASSWORD_VARIABLE`.
    pub credentials: Option<Setting<PathBuf>>,
    /// Whether a session over TCP is encrypted.
    pub tls: TlsWish,
    /// A file with the certificates by one of which the server's has to be signed.
    pub tls_ca: Option<PathBuf>,
}

/// Through what the database is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// A client inside the guest, fed through the agent.
    Agent {
        /// The server's socket, a path in the guest; `None` where the client finds it.
        socket: Option<String>,
    },
    /// A socket on this host, or an address in the network.
    Net(Address),
}

impl Via {
    /// How it is written.
    pub(super) const FORMS: &str = "write agent, agent:/PATH-IN-THE-GUEST, unix:/PATH, tcp:HOST:PORT or none";

    /// Reads it; `none` is a way of saying that there is no database.
    pub(super) fn read(text: &str) -> Result<Option<Self>, String> {
        match text {
            "none" => Ok(None),
            "agent" => Ok(Some(Self::Agent { socket: None })),
            _ => match text.strip_prefix("agent:") {
                Some(socket) if socket.starts_with('/') => Ok(Some(Self::Agent { socket: Some(socket.to_owned()) })),
                _ => text.parse().map(|address| Some(Self::Net(address))).map_err(|error| format!("{error}")),
            },
        }
    }
}

/// As it is written on the command line and in the configuration.
impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent { socket: None } => f.write_str("agent"),
            Self::Agent { socket: Some(socket) } => write!(f, "agent:{socket}"),
            Self::Net(address) => write!(f, "{address}"),
        }
    }
}
