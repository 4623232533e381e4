//! What goes wrong on the server or with the client, in the middle of a dump.

use guest_bridge::{
    database::Credentials,
    dump::{DumpError, DumpName, DumpStream, DumpTerms, Ended, Login, NotWhole, verdict},
};
use std::{process::Command, time::Duration};
use stillpoint_tests::machine::agent::PrivateAgent;

use super::super::server::PrivateServer;
use super::machine::{TERMS, carried, fill, left_of, login, shared, start, words};

/// Carries on after `happens` behind the first piece.
async fn interrupted(server: &PrivateServer, happens: impl FnOnce(&DumpStream)) -> Ended {
    let agent = PrivateAgent::start(&[]);
    fill(server, 40);
    let name = DumpName::new();
    let mut stream = start(&agent, server, &name, TERMS).await;
    stream.next().await.unwrap().unwrap();
    happens(&stream);
    let (dump, ended) = carried(&mut stream).await.unwrap();
    assert!(!dump.ends_with(b"-- Dump completed\n") && dump.len() < 60 << 20);
    assert_eq!(ended.counted_bytes, ended.received_bytes);
    stream.close().await.unwrap();
    assert_eq!(left_of(&name), [""; 0]);
    ended
}

#[tokio::test]
async fn a_client_that_is_killed_is_told_with_the_signal() {
    let server = PrivateServer::start();
    let ended = interrupted(&server, |stream| {
        let pid = stream.client().pid.to_string();
        assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    });
    assert_eq!(verdict(&ended.await), Err(NotWhole::Killed { signal: 9 }));
}

#[tokio::test]
async fn a_server_that_crashes_is_told() {
    let server = PrivateServer::start();
    let why = verdict(&interrupted(&server, |_| server.crash()).await).unwrap_err();
    assert!(matches!(&why, NotWhole::ServerGone { said } if said.contains("2013")), "{why}");
}

#[tokio::test]
async fn a_connection_that_is_killed_is_told() {
    let server = PrivateServer::start();
    let kills = |_: &DumpStream| {
        let ids = server.sql("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'stillpoint'");
        server.sql(&format!("KILL CONNECTION {ids}"));
    };
    let why = verdict(&interrupted(&server, kills).await).unwrap_err();
    assert!(matches!(why, NotWhole::ServerGone { .. }), "{why}");
}

#[tokio::test]
async fn a_broken_view_stops_the_client_unless_it_is_left_out() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    server.sql(
        "CREATE TABLE shop.gone (id INT); CREATE VIEW shop.broken AS SELECT * FROM shop.gone; DROP TABLE shop.gone",
    );
    for left_out in [false, true] {
        let option = if left_out { "--ignore-table=shop.broken" } else { "--quick" };
        let arguments = words(&server, &[option, "--databases", "--", "shop"]);
        let started = DumpStream::start(shared(&agent), DumpName::new(), &login(&server), &arguments, TERMS).await;
        let mut stream = started.unwrap();
        let (_, ended) = carried(&mut stream).await.unwrap();
        match left_out {
            true => assert_eq!(verdict(&ended), Ok(())),
            false => assert!(
                matches!(verdict(&ended), Err(NotWhole::BrokenView { said }) if said.contains("shop.broken")),
                "{ended:?}"
            ),
        }
        stream.close().await.unwrap();
    }
}

#[tokio::test]
async fn an_account_that_may_not_read_a_table_is_told_which() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    server.sql(
        "CREATE USER half IDENTIFIED BY 'x'; GRANT SELECT ON shop.orders TO half; GRANT INSERT ON shop.visits TO half",
    );
    let login = Login { credentials: Some(Credentials::new("half", Some("x".to_owned()))), ..login(&server) };
    let arguments = words(&server, &["--", "shop", "orders", "visits"]);
    let mut stream = DumpStream::start(shared(&agent), DumpName::new(), &login, &arguments, TERMS).await.unwrap();
    let (_, ended) = carried(&mut stream).await.unwrap();
    let why = verdict(&ended).unwrap_err();
    assert!(matches!(&why, NotWhole::Denied { said } if said.contains("enied")), "{why}: {ended:?}");
    stream.close().await.unwrap();
}

#[tokio::test]
async fn a_client_that_waits_for_a_lock_is_given_up_and_ended() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    let _visitor = server.visitor("LOCK TABLES shop.orders WRITE; SELECT 'locked';");
    let waiting = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND = 'Sleep' AND USER = 'root'";
    while server.sql(waiting) == "0" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let name = DumpName::new();
    let terms = DumpTerms { progress: Duration::from_secs(2), ..TERMS };
    let mut stream = start(&agent, &server, &name, terms).await;
    let error = stream.next().await.unwrap_err();
    assert!(matches!(error, DumpError::NoProgress { received_bytes: 0, .. }), "{error}");
    assert!(matches!(stream.next().await, Err(DumpError::Closed)));
    stream.close().await.unwrap();
    assert_eq!(left_of(&name), [""; 0]);
}
