//! Option files of the guest that would change what its client prints, or where it goes.

use std::{fs, path::Path, time::Duration};

use guest_bridge::{
    agent::{Agent, AgentError, BoxFuture, Endpoint, QgaTransport, Request, SharedAgent},
    database::{
        Credentials, OpenSession,
        agent_session::{AgentSession, Owner},
    },
};
use serde_json::{Value, json};
use stillpoint_tests::machine::agent::PrivateAgent;

use super::server::{PASSWORD, PrivateServer};

const SOON: Duration = Duration::from_secs(20);

/// An agent whose programs have a home of their own.
pub struct AtHome {
    pub agent: QgaTransport,
    pub home: String,
}

impl Agent for AtHome {
    fn call(&mut self, mut request: Request, deadline: Duration) -> BoxFuture<'_, Result<Value, AgentError>> {
        if request.command == "guest-exec" {
            request.arguments["env"] = json!([format!("HOME={}", self.home)]);
        }
        self.agent.call(request, deadline)
    }

    fn release(&mut self) -> BoxFuture<'_, ()> {
        self.agent.release()
    }
}

/// Sessions of a guest whose root has `my_cnf` as `~/.my.cnf`. Without a `socket` the option files say it.
fn through(
    agent: &PrivateAgent,
    home: &Path,
    my_cnf: &str,
    account: Option<Credentials>,
    socket: Option<&PrivateServer>,
) -> OpenSession {
    fs::write(home.join(".my.cnf"), my_cnf).unwrap();
    let agent = QgaTransport::new(Endpoint::Unix(agent.socket()));
    let at_home = AtHome { agent, home: home.display().to_string() };
    let socket = socket.map(|server| server.socket().display().to_string());
    AgentSession::opener(SharedAgent::new(at_home), account, socket, Owner::new())
}

#[tokio::test]
async fn no_option_file_changes_what_the_client_prints_or_where_it_goes() {
    let (agent, server, home) = (PrivateAgent::start(&[]), PrivateServer::start(), tempfile::tempdir().unwrap());
    let tee = home.path().join("tee");
    let files = [
        "[mysql]\ntable".to_owned(),
        "[mysql]\nsilent".to_owned(),
        "[client]\nverbose".to_owned(),
        "[mysql]\nverbose\nverbose".to_owned(),
        "[mysql]\ndelimiter=//".to_owned(),
        format!("[mysql]\ntee={}", tee.display()),
        "[mariadb-client]\nhtml\nskip-column-names".to_owned(),
        "[client]\nprotocol=tcp\nhost=192.0.2.1\nport=1".to_owned(),
        "[client]\nhost=192.0.2.1".to_owned(),
        "[mysql]\ndatabase=gone".to_owned(),
        "[client]\nssl\nssl-verify-server-cert".to_owned(),
        "[client]\nnonsense=1".to_owned(),
        "[mysql]\ninit-command=SELECT 1".to_owned(),
    ];
    for file in files {
        let account = Some(Credentials::new("stillpoint", Some(PASSWORD.to_owned())));
        let open = through(&agent, home.path(), &file, account, Some(&server));
        let mut session = open(SOON).await.unwrap_or_else(|error| panic!("{file}: {error}"));
        let rows =
            session.query("SELECT 7 AS n, 'a b' AS text", SOON).await.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!((rows.get(0, "n"), rows.get(0, "text"), rows.rows.len()), (Some("7"), Some("a b"), 1), "{file}");
        session.close().await;
    }
    assert!(!tee.exists());
}

#[tokio::test]
async fn the_guests_own_account_and_socket_are_used_and_an_account_that_is_named_comes_first() {
    let (agent, server, home) = (PrivateAgent::start(&[]), PrivateServer::start(), tempfile::tempdir().unwrap());
    let password = r#"x "y" 'z' \ #;"#;
    let quoted = password.replace('\\', "\\\\").replace('\'', "\\'");
    server.sql(&format!("CREATE USER guest@localhost IDENTIFIED BY '{quoted}'; GRANT ALL ON *.* TO guest@localhost"));
    let escaped = password.replace('\\', "\\\\").replace('"', "\\\"");
    for group in ["client", "mysql", "client-mariadb"] {
        let socket = server.socket().display().to_string();
        let file = format!("[{group}]\nuser=guest\npassword=\"{escaped}\"\nsocket={socket}\n[mysqldump]\nuser=other\n");
        for (account, name) in [
            (None, "guest@localhost"),
            (Some(Credentials::new("stillpoint", Some(PASSWORD.to_owned()))), "stillpoint@%"),
        ] {
            let open = through(&agent, home.path(), &file, account, None);
            let mut session = open(SOON).await.unwrap_or_else(|error| panic!("{group}: {error}"));
            let rows = session.query("SELECT CURRENT_USER() AS account", SOON).await.unwrap();
            assert_eq!(rows.get(0, "account"), Some(name), "{group}");
            session.close().await;
        }
    }
    assert!(server.agent_clients().is_empty());
}
