//! The stream itself.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use guest_bridge::{
    agent::{Agent, AgentError, BoxFuture, Endpoint, QgaTransport, Request, SharedAgent},
    database::Credentials,
    dump::{DumpError, DumpName, DumpStream, Login, end, port::Port, verdict},
};
use serde_json::{Value, json};
use stillpoint_tests::machine::agent::PrivateAgent;

use super::super::{
    option_files::AtHome,
    server::{PASSWORD, PrivateServer},
};
use super::machine::{SOON, TERMS, carried, fill, left_of, login, shared, start, words};

#[tokio::test]
async fn a_dump_of_many_pieces_arrives_whole_and_leaves_nothing() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    fill(&server, 40);
    let name = DumpName::new();
    let mut stream = start(&agent, &server, &name, TERMS).await;
    assert!(stream.client().version.contains("dump"), "{:?}", stream.client());
    let (dump, ended) = carried(&mut stream).await.unwrap();
    assert_eq!(verdict(&ended), Ok(()), "{}", ended.stderr);
    assert_eq!((ended.counted_bytes, ended.received_bytes), (dump.len() as u64, dump.len() as u64));
    assert!(dump.len() > 30 << 20, "{}", dump.len());
    assert!(dump.starts_with(&ended.head) && dump.ends_with(&ended.tail));
    assert_eq!(stream.next().await.unwrap(), None);
    stream.close().await.unwrap();
    assert_eq!(left_of(&name), [""; 0]);
    end(&mut shared(&agent), &name, SOON).await.unwrap();
}

#[tokio::test]
async fn option_files_of_the_guest_give_the_login_and_nothing_else() {
    let (agent, server, home) = (PrivateAgent::start(&[]), PrivateServer::start(), tempfile::tempdir().unwrap());
    let escaped = PASSWORD.replace('\\', "\\\\").replace('"', "\\\"");
    let socket = server.socket().display().to_string();
    for group in ["client", "mysqldump"] {
        let login_lines = format!("[{group}]\nuser=stillpoint\npassword=\"{escaped}\"\nsocket={socket}\n");
        let others = "[mysqldump]\nskip-comments\ncompact\nno-data\nforce\n[client]\nhost=192.0.2.1\nnonsense=1\n";
        fs::write(home.path().join(".my.cnf"), format!("{login_lines}{others}")).unwrap();
        let transport = QgaTransport::new(Endpoint::Unix(agent.socket()));
        let at_home = SharedAgent::new(AtHome { agent: transport, home: home.path().display().to_string() });
        let login = Login { credentials: None, socket: None, ..login(&server) };
        let arguments = words(&server, &["--databases", "--", "shop"]);
        let mut stream = DumpStream::start(at_home, DumpName::new(), &login, &arguments, TERMS).await.unwrap();
        let (dump, ended) = carried(&mut stream).await.unwrap();
        assert_eq!(verdict(&ended), Ok(()), "{group}: {}", ended.stderr);
        assert!(String::from_utf8_lossy(&dump).contains("CREATE TABLE `orders`"));
        stream.close().await.unwrap();
    }
}

#[tokio::test]
async fn the_login_is_in_no_argument_and_gone_from_the_guest_after_the_first_piece() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    fill(&server, 40);
    let name = DumpName::new();
    let mut stream = start(&agent, &server, &name, TERMS).await;
    let all_arguments = || {
        let lines = fs::read_dir("/proc").unwrap().flatten().filter_map(|it| fs::read(it.path().join("cmdline")).ok());
        lines.map(|line| String::from_utf8_lossy(&line).into_owned()).collect::<String>()
    };
    assert!(!all_arguments().contains(PASSWORD));
    stream.next().await.unwrap().unwrap();
    let folder = ["/run", "/dev/shm"].map(|place| format!("{place}/{name}"));
    let folder = folder.iter().find_map(|folder| fs::read_dir(folder).ok()).unwrap();
    let files: Vec<_> = folder.flatten().map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert!(!files.iter().any(|name| name == "my.cnf" || name == "given"), "{files:?}");
    stream.close().await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    let credentials = Some(Credentials::new("stillpoint", Some("geheim".to_owned())));
    let login = Login { credentials, ..login(&server) };
    let arguments = words(&server, &["--databases", "--", "shop"]);
    let mut stream = DumpStream::start(shared(&agent), DumpName::new(), &login, &arguments, TERMS).await.unwrap();
    let (dump, ended) = carried(&mut stream).await.unwrap();
    let why = verdict(&ended).unwrap_err();
    assert!(matches!(why, guest_bridge::dump::NotWhole::Denied { .. }), "{why}");
    assert!(!why.to_string().contains("geheim"), "{why}");
    assert_eq!(dump.len() as u64, ended.counted_bytes);
    stream.close().await.unwrap();
}

/// Where a program of the guest is an applet of busybox, the shell too.
struct InBusybox {
    agent: QgaTransport,
    path: String,
}

impl Agent for InBusybox {
    fn call(&mut self, mut request: Request, deadline: Duration) -> BoxFuture<'_, Result<Value, AgentError>> {
        if request.command == "guest-exec" {
            request.arguments["path"] = json!(format!("{}/ash", self.path));
            request.arguments["env"] = json!([format!("PATH={}", self.path)]);
        }
        self.agent.call(request, deadline)
    }

    fn release(&mut self) -> BoxFuture<'_, ()> {
        self.agent.release()
    }
}

#[tokio::test]
async fn a_guest_with_nothing_but_busybox_carries_a_dump_out() {
    let (agent, server, applets) = (PrivateAgent::start(&[]), PrivateServer::start(), tempfile::tempdir().unwrap());
    let all = Command::new("busybox").arg("--list").output().expect("busybox is needed").stdout;
    for applet in String::from_utf8(all).unwrap().lines() {
        std::os::unix::fs::symlink("/usr/bin/busybox", applets.path().join(applet)).unwrap();
    }
    let transport = QgaTransport::new(Endpoint::Unix(agent.socket()));
    let agent = SharedAgent::new(InBusybox { agent: transport, path: applets.path().display().to_string() });
    fill(&server, 20);
    let (name, arguments) = (DumpName::new(), words(&server, &["--databases", "--", "shop"]));
    let mut stream = DumpStream::start(agent, name.clone(), &login(&server), &arguments, TERMS).await.unwrap();
    let (_, ended) = carried(&mut stream).await.unwrap();
    assert_eq!(verdict(&ended), Ok(()), "{}", ended.stderr);
    stream.close().await.unwrap();
    assert_eq!(left_of(&name), [""; 0]);
}

/// A port of the guest, and what the host has of it. A FIFO stands for the port.
fn port_of(name: &DumpName) -> (Port, PathBuf) {
    let path = PathBuf::from(Port::path_in_guest(name));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    // For both ends: it has no end of file, as a port has none.
    let mut guest = fs::File::options().read(true).write(true).open(&path).unwrap();
    let (host, mut qemu) = std::os::unix::net::UnixStream::pair().unwrap();
    host.set_nonblocking(true).unwrap();
    std::thread::spawn(move || std::io::copy(&mut guest, &mut qemu).ok());
    (Port { stream: tokio::net::UnixStream::from_std(host).unwrap() }, path)
}

#[tokio::test]
async fn a_dump_through_a_port_arrives_whole_and_leaves_nothing() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    fill(&server, 40);
    let (name, arguments) = (DumpName::new(), words(&server, &["--databases", "--", "shop"]));
    let (port, path) = port_of(&name);
    let started =
        DumpStream::start_through_port(port, shared(&agent), name.clone(), &login(&server), &arguments, TERMS).await;
    let mut stream = started.unwrap();
    let (dump, ended) = carried(&mut stream).await.unwrap();
    assert_eq!(verdict(&ended), Ok(()), "{}", ended.stderr);
    assert_eq!((ended.counted_bytes, ended.received_bytes), (dump.len() as u64, dump.len() as u64));
    stream.close().await.unwrap();
    fs::remove_file(path).unwrap();
    assert_eq!(left_of(&name).iter().filter(|left| !left.contains("real_database")).count(), 0, "{:?}", left_of(&name));
}

#[tokio::test]
async fn a_port_that_the_guest_does_not_see_is_said() {
    let (agent, server, name) = (PrivateAgent::start(&[]), PrivateServer::start(), DumpName::new());
    let port = Port { stream: tokio::net::UnixStream::pair().unwrap().0 };
    let arguments = words(&server, &["--databases", "--", "shop"]);
    let login = login(&server);
    let started = DumpStream::start_through_port(port, shared(&agent), name.clone(), &login, &arguments, TERMS);
    let error = started.await.err().unwrap();
    assert!(matches!(&error, DumpError::Impossible { problem } if problem.contains("virtio-ports")), "{error}");
    assert_eq!(left_of(&name), [""; 0]);
}
