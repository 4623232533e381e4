//! TLS over TCP, with certificates that the test makes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use guest_bridge::database::{
    Credentials, Database, DatabaseError,
    net::{Address, NetSession, Tls, TlsWish},
};
use stillpoint_tests::machine::program::run;
use tempfile::TempDir;

use super::server::PrivateServer;

const SOON: Duration = Duration::from_secs(20);

/// A server with a certificate, and an account that has to use TLS.
struct Encrypting {
    server: PrivateServer,
    folder: TempDir,
}

impl Encrypting {
    fn start() -> Self {
        Self::with_certificate_for("IP:127.0.0.1")
    }

    fn with_certificate_for(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for authority in ["ca", "other"] {
            certify(folder.path(), authority, &["-x509", "-subj", &format!("/CN={authority}")]);
        }
        let signed = ["-x509", "-CA", "ca.pem", "-CAkey", "ca.key", "-subj", "/CN=nobody"];
        let (what, whose) = ("basicConstraints=critical,CA:FALSE", format!("subjectAltName={name}"));
        certify(folder.path(), "server", &[&signed[..], &["-addext", what, "-addext", &whose]].concat());
        let file = |name: &str| folder.path().join(name).display().to_string();
        let options = [
            format!("--ssl-ca={}", file("ca.pem")),
            format!("--ssl-cert={}", file("server.pem")),
            format!("--ssl-key={}", file("server.key")),
        ];
        let server = PrivateServer::start_with(&options.each_ref().map(String::as_str));
        server.sql("CREATE USER secret@'%' IDENTIFIED BY 'geheim' REQUIRE SSL");
        Self { server, folder }
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.path().join(name))
    }

    async fn open(&self, user: &str, wish: TlsWish, ca: Option<PathBuf>) -> Result<NetSession, DatabaseError> {
        open(&self.server, user, wish, ca).await
    }
}

async fn open(
    server: &PrivateServer,
    user: &str,
    wish: TlsWish,
    ca: Option<PathBuf>,
) -> Result<NetSession, DatabaseError> {
    let address = Address::Tcp { host: "127.0.0.1".to_owned(), port: server.port };
    let credentials = Credentials::new(user, Some("geheim".to_owned()));
    NetSession::open(&address, &credentials, &Tls::new(wish, ca.as_deref())?, SOON).await
}

/// A key and a certificate for it, `NAME.key` and `NAME.pem` in `folder`.
fn certify(folder: &Path, name: &str, how: &[&str]) {
    let (key, out) = (format!("{name}.key"), format!("{name}.pem"));
    let always = ["-C", folder.to_str().unwrap(), "openssl", "req", "-newkey", "rsa:2048", "-noenc", "-days", "2"];
    run("env", &[&always[..], &["-keyout", &key, "-out", &out], how].concat());
}

async fn cipher(session: &mut NetSession) -> String {
    let rows = session.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'", SOON).await.unwrap();
    rows.get(0, "Value").unwrap().to_owned()
}

#[tokio::test]
async fn what_a_server_offers_is_used_unless_it_is_declined() {
    let it = Encrypting::start();
    it.server.sql("CREATE USER plain@'%' IDENTIFIED BY 'geheim'");
    for (wish, encrypted) in [(TlsWish::Preferred, true), (TlsWish::Required, true), (TlsWish::Off, false)] {
        let mut session = it.open("plain", wish, None).await.unwrap();
        assert_eq!(!cipher(&mut session).await.is_empty(), encrypted, "{wish}");
    }
}

#[tokio::test]
async fn an_account_that_must_use_tls_is_let_in_with_it_only() {
    let it = Encrypting::start();
    it.open("secret", TlsWish::Preferred, None).await.unwrap();
    let error = it.open("secret", TlsWish::Off, None).await.err().unwrap();
    assert!(matches!(error, DatabaseError::AccessDenied { .. }), "{error:?}");
}

#[tokio::test]
async fn with_a_ca_no_other_server_is_spoken_to() {
    let it = Encrypting::start();
    it.open("secret", TlsWish::Required, it.file("ca.pem")).await.unwrap();
    for name in ["other.pem", "server.key"] {
        let error = it.open("secret", TlsWish::Required, it.file(name)).await.err().unwrap();
        assert!(!error.to_string().contains("geheim"), "{error}");
        assert!(matches!(error, DatabaseError::TurnedAway { .. }), "{name}: {error:?}");
        assert!(error.hint().unwrap().contains("--db-ca"), "{name}: {error}: {:?}", error.hint());
    }
}

#[tokio::test]
async fn a_certificate_for_another_host_will_not_do_where_it_is_looked_at() {
    let it = Encrypting::with_certificate_for("DNS:elsewhere");
    it.open("secret", TlsWish::Required, None).await.unwrap();
    let error = it.open("secret", TlsWish::Required, it.file("ca.pem")).await.err().unwrap();
    assert!(error.to_string().contains("elsewhere"), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_is_spoken_to_unless_it_is_required() {
    let server = PrivateServer::start_with(&["--loose-skip-ssl", "--loose-tls-version="]);
    server.sql("CREATE USER plain@'%' IDENTIFIED BY 'geheim'");
    let mut session = open(&server, "plain", TlsWish::Preferred, None).await.unwrap();
    assert_eq!(cipher(&mut session).await, "");
    let error = open(&server, "plain", TlsWish::Required, None).await.err().unwrap();
    assert!(error.to_string().contains("the server offers none"), "{error}");
}
