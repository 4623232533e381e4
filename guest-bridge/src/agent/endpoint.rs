//! Where an agent listens.

use std::{fmt, path::PathBuf, str::FromStr};

/// The address of an agent's channel, as seen from the host.
///
/// Written `unix:/path`, `tcp:host:port` or `vsock:cid:port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The socket of a virtio-serial channel, as libvirt, Proxmox or `-chardev socket` make it.
    Unix(PathBuf),
    /// `host:port`; an IPv6 address stands in brackets.
    Tcp(String),
    /// AF_VSOCK, an agent started with `-m vsock-listen`.
    Vsock {
        /// The guest's context id.
        cid: u32,
        /// The port that the agent listens on.
        port: u32,
    },
}

/// An endpoint that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no agent endpoint: {why}; write unix:/path, tcp:host:port or vsock:cid:port")]
pub struct EndpointError {
    text: String,
    why: &'static str,
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |why| EndpointError { text: text.to_owned(), why };
        let (scheme, rest) = text.split_once(':').ok_or_else(|| fail("it names no transport"))?;
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(fail("the path of a socket must be absolute")),
            "tcp" => {
                let (host, port) = rest.rsplit_once(':').ok_or_else(|| fail("the port is missing"))?;
                if host.is_empty() {
                    return Err(fail("the host is missing"));
                }
                if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
                    return Err(fail("an IPv6 address needs brackets"));
                }
                match port.parse::<u16>() {
                    Ok(1..) => Ok(Self::Tcp(rest.to_owned())),
                    _ => Err(fail("the port is no number from 1 to 65535")),
                }
            }
            "vsock" => {
                let (cid, port) = rest.split_once(':').ok_or_else(|| fail("the port is missing"))?;
                let cid = cid.parse().map_err(|_| fail("the context id is no number"))?;
                let port = port.parse().map_err(|_| fail("the port is no number"))?;
                Ok(Self::Vsock { cid, port })
            }
            _ => Err(fail("the transport is unknown")),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Vsock { cid, port } => write!(f, "vsock:{cid}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn an_endpoint_is_written_as_it_is_read() {
        for text in ["unix:/run/vm/qga.sock", "tcp:127.0.0.1:4444", "tcp:[::1]:4444", "vsock:3:1024"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_bad_endpoint_says_why() {
        for (text, why) in [
            ("/run/vm/qga.sock", "names no transport"),
            ("unix:qga.sock", "must be absolute"),
            ("tcp:host", "port is missing"),
            ("tcp::1", "host is missing"),
            ("tcp:::1:4444", "needs brackets"),
            ("tcp:host:0", "from 1 to 65535"),
            ("tcp:host:65536", "from 1 to 65535"),
            ("vsock:3", "port is missing"),
            ("vsock:x:1", "context id is no number"),
            ("vsock:3:-1", "port is no number"),
            ("serial:/dev/ttyS0", "transport is unknown"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(text), "{text}: {error}");
        }
    }
}
