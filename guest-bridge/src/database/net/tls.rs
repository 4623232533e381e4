//! Whether a session over TCP is encrypted, and with whom.

use std::{fmt, fs::File, io::Read, path::Path, str::FromStr};

use mysql_async::SslOpts;

use crate::database::DatabaseError;

/// Larger than any file of certificates that people have.
const MAX_CA_BYTES: u64 = 1 << 20;

/// Whether TLS is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsWish {
    /// Never.
    Off,
    /// Where the server offers it.
    #[default]
    Preferred,
    /// No session without it.
    Required,
}

/// How a session over TCP is encrypted. A unix socket never is: nobody but this machine reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whether it is.
    pub(super) wish: TlsWish,
    ca: Option<Vec<u8>>,
}

impl Tls {
    /// With the certificates in the file `ca`, PEM or DER, one of which has to have signed the server's, for the host of its address. Those
    /// that a server makes for itself are for no host. Without `ca` any certificate will do, as with the server's own client: nobody can
    /// read along, but whoever can put himself in between can.
    ///
    /// # Errors
    /// [`DatabaseError::Certificates`] where the file cannot be read.
    pub fn new(wish: TlsWish, ca: Option<&Path>) -> Result<Self, DatabaseError> {
        let read = |path: &Path| {
            let mut bytes = Vec::new();
            let read = File::open(path).and_then(|file| file.take(MAX_CA_BYTES).read_to_end(&mut bytes));
            let failed = |problem: String| DatabaseError::Certificates { path: path.to_owned(), problem };
            read.map_err(|error| failed(error.to_string()))?;
            if bytes.is_empty() { Err(failed("there is nothing in it".to_owned())) } else { Ok(bytes) }
        };
        Ok(Self { wish, ca: ca.map(read).transpose()? })
    }

    pub(super) fn options(&self) -> SslOpts {
        let options = SslOpts::default();
        match &self.ca {
            Some(ca) => options.with_root_certs(vec![ca.clone().into()]).with_disable_built_in_roots(true),
            None => options.with_danger_accept_invalid_certs(true),
        }
    }
}

impl fmt::Display for TlsWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Preferred => "preferred",
            Self::Required => "required",
        })
    }
}

impl FromStr for TlsWish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "preferred" => Ok(Self::Preferred),
            "required" => Ok(Self::Required),
            _ => Err(format!("`{}` says nothing of TLS: off, preferred or required", text.escape_default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_read_as_it_is_shown() {
        for wish in [TlsWish::Off, TlsWish::Preferred, TlsWish::Required] {
            assert_eq!(wish.to_string().parse(), Ok(wish));
        }
        "on".parse::<TlsWish>().unwrap_err();
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let error = Tls::new(TlsWish::Required, Some(Path::new("/nowhere/ca.pem"))).unwrap_err().to_string();
        assert!(error.contains("/nowhere/ca.pem"), "{error}");
        Tls::new(TlsWish::Required, Some(Path::new("/dev/null"))).unwrap_err();
    }

    #[test]
    fn with_a_ca_no_other_certificate_will_do() {
        let options = Tls { ca: Some(vec![0]), ..Tls::default() }.options();
        assert!(
            options.disable_built_in_roots() && !options.accept_invalid_certs() && !options.skip_domain_validation()
        );
        assert!(Tls::default().options().accept_invalid_certs());
    }
}
