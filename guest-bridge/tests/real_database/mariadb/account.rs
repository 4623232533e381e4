//! Ways to be sure of an account that only MariaDB has.

use std::time::Duration;

use guest_bridge::database::{
    Credentials, DatabaseError,
    net::{Address, NetSession, Tls},
};

use crate::server::PrivateServer;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_way_to_be_sure_of_the_account_that_is_not_known_here_is_an_error() {
    let server = PrivateServer::start();
    server.sql("INSTALL SONAME 'auth_ed25519'; CREATE USER curve IDENTIFIED VIA ed25519 USING PASSWORD('geheim')");
    let credentials = Credentials::new("curve", Some("geheim".to_owned()));
    let error =
        NetSession::open(&Address::Unix(server.socket()), &credentials, &Tls::default(), SOON).await.err().unwrap();
    assert!(matches!(&error, DatabaseError::TurnedAway { code: None, .. }), "{error:?}");
    assert!(error.to_string().contains("ed25519"), "{error}");
    assert!(error.hint().unwrap().contains("--db agent"), "{:?}", error.hint());
}
