//! The agent transport against a peer that misbehaves as told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use guest_bridge::agent::{
    Agent, AgentError, BoxFuture, Endpoint, FreezeScope, Mountpoints, Pid, Program, QgaTransport, READ_COUNT_MAX_BYTES,
    Request, SharedAgent, exec, exec_status, file_close, file_open, file_read, freeze, freeze_status, fsinfo, info,
    ping, thaw,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, UnixListener},
    task::JoinHandle,
};

/// Long enough for an answer that comes.
const PLENTY: Duration = Duration::from_secs(30);
/// Long enough to send and not be answered.
const SHORT: Duration = Duration::from_millis(300);

/// What a reply may have that has little to say.
const SHORT_BYTES: usize = 64 << 10;
/// What the sockets hold between the two, and what is read at once.
const IN_FLIGHT_BYTES: usize = 1 << 20;

const ONE: &[u8] = b"{\"return\": 1}\n";
const TWO: &[u8] = b"{\"return\": 2}\n";

/// What the peer does next on a connection.
enum Step {
    /// Reads a synchronisation and answers it.
    Sync,
    /// Reads a synchronisation, sends this, and then the answer.
    SyncAfter(&'static [u8]),
    /// Reads a line, which must execute this.
    Expect(&'static str),
    /// Sends this.
    Send(&'static [u8]),
    /// Returns this.
    Return(Value),
    /// Lets time pass in which nothing is sent.
    Pause,
    /// Sends a line without an end until the client goes away, 2 GiB at most.
    SendEndlessly,
    /// Reads until the client goes away.
    UntilHangup,
}
use Step::{Expect, Pause, Return, Send, SendEndlessly, Sync, SyncAfter, UntilHangup};

struct Peer {
    agent: QgaTransport,
    script: JoinHandle<u64>,
    _dir: TempDir,
}

impl Peer {
    /// Serves one connection after the other.
    fn that_does(connections: Vec<Vec<Step>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qga.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let script = tokio::spawn(async move {
            let mut endless_bytes = 0;
            for steps in connections {
                endless_bytes += play(listener.accept().await.unwrap().0, steps).await;
            }
            endless_bytes
        });
        Self { agent: QgaTransport::new(Endpoint::Unix(path)), script, _dir: dir }
    }

    async fn call(&mut self, command: &'static str, deadline: Duration) -> Result<Value, AgentError> {
        self.agent.call(request(command), deadline).await
    }

    /// The script was played to its end, and of its endless line no more was taken than `limit_bytes`, and what was on its
    /// way.
    async fn took_no_more_than(self, limit_bytes: usize) {
        let taken_bytes = self.ended().await;
        assert!(taken_bytes < (limit_bytes + IN_FLIGHT_BYTES) as u64, "{taken_bytes} bytes were read");
    }

    /// The script was played to its end. How much of an endless line was taken.
    async fn ended(self) -> u64 {
        drop(self.agent);
        tokio::time::timeout(PLENTY, self.script).await.expect("a part of the script was left over").unwrap()
    }
}

fn request(command: &'static str) -> Request {
    Request { command, arguments: json!({}), reply_max_bytes: SHORT_BYTES }
}

async fn play(stream: impl AsyncRead + AsyncWrite + Unpin, steps: Vec<Step>) -> u64 {
    let mut stream = BufReader::new(stream);
    let mut endless_bytes = 0;
    for step in steps {
        match step {
            Sync => sync(&mut stream, b"").await,
            SyncAfter(noise) => sync(&mut stream, noise).await,
            Expect(command) => {
                let mut text = String::new();
                stream.read_line(&mut text).await.unwrap();
                let request: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
                assert_eq!(request["execute"], command);
            }
            Send(bytes) => stream.write_all(bytes).await.unwrap(),
            Return(value) => {
                let line = json!({ "return": value }).to_string() + "\n";
                stream.write_all(line.as_bytes()).await.unwrap();
            }
            Pause => tokio::time::sleep(SHORT).await,
            SendEndlessly => {
                let chunk = vec![b'x'; 64 << 10];
                while endless_bytes < 2 << 30 && stream.write_all(&chunk).await.is_ok() {
                    endless_bytes += chunk.len() as u64;
                }
            }
            UntilHangup => while stream.read_until(b'\n', &mut Vec::new()).await.is_ok_and(|n| n > 0) {},
        }
    }
    endless_bytes
}

async fn sync(stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>, noise: &[u8]) {
    let mut request = Vec::new();
    stream.read_until(b'\n', &mut request).await.unwrap();
    assert_eq!(request.remove(0), 0xFF, "the mark that ends a half request of an earlier client");
    let request: Value = serde_json::from_slice(&request).unwrap();
    assert_eq!(request["execute"], "guest-sync-delimited");
    let answer = json!({ "return": request["arguments"]["id"] }).to_string();
    stream.write_all(&[noise, b"\xFF", answer.as_bytes(), b"\n"].concat()).await.unwrap();
}

fn program() -> Program {
    Program::new("/bin/true", [""; 0])
}

fn assert_too_long<T: std::fmt::Debug>(result: Result<T, AgentError>, of: &str, bytes: usize) {
    match result {
        Err(AgentError::ReplyTooLong { command, limit_bytes }) => assert_eq!((&*command, limit_bytes), (of, bytes)),
        other => panic!("{of}: {other:?}"),
    }
}

#[tokio::test]
async fn a_connection_is_synchronised_once_and_kept() {
    let mut peer = Peer::that_does(vec![vec![Sync, Expect("a"), Send(ONE), Expect("b"), Send(TWO)]]);
    assert_eq!(peer.call("a", PLENTY).await.unwrap(), 1);
    assert_eq!(peer.call("b", PLENTY).await.unwrap(), 2);
    peer.ended().await;
}

#[tokio::test]
async fn what_an_earlier_client_left_behind_is_discarded() {
    for noise in [
        &b"{\"return\": 99}\n"[..],
        b"\xFF{\"return\": 1234}\n",
        b"{\"return\": \"half a li",
        b"\xFF{\"retu",
        b"{\"error\": {\"class\": \"GenericError\", \"desc\": \"Invalid JSON syntax\"}}\n",
        &[0xFF; 5000],
        b"\n\n\0\n",
    ] {
        let mut peer = Peer::that_does(vec![vec![SyncAfter(noise), Expect("a"), Send(ONE)]]);
        assert_eq!(peer.call("a", PLENTY).await.unwrap(), 1);
        peer.ended().await;
    }
}

#[tokio::test]
async fn a_reply_may_come_in_pieces() {
    let mut peer = Peer::that_does(vec![vec![Sync, Expect("a"), Send(b"{\"ret"), Send(b"urn\": 1}"), Send(b"\r\n")]]);
    assert_eq!(peer.call("a", PLENTY).await.unwrap(), 1);
    peer.ended().await;
}

#[tokio::test]
async fn a_late_reply_is_never_taken_for_the_answer_to_the_next_command() {
    let mut peer =
        Peer::that_does(vec![vec![Sync, Expect("slow"), UntilHangup], vec![SyncAfter(ONE), Expect("next"), Send(TWO)]]);
    let error = peer.call("slow", SHORT).await.unwrap_err();
    assert!(matches!(&error, AgentError::Timeout { command, .. } if command == "slow"), "{error}");
    assert!(error.may_have_executed());
    assert_eq!(peer.call("next", PLENTY).await.unwrap(), 2);
    peer.ended().await;
}

#[tokio::test]
async fn a_call_that_is_dropped_does_not_disturb_the_next() {
    let mut peer = Peer::that_does(vec![
        vec![Sync, Expect("dropped"), UntilHangup],
        vec![SyncAfter(ONE), Expect("next"), Send(TWO)],
    ]);
    assert!(tokio::time::timeout(SHORT, peer.call("dropped", PLENTY)).await.is_err());
    assert_eq!(peer.call("next", PLENTY).await.unwrap(), 2);
    peer.ended().await;
}

#[tokio::test]
async fn two_replies_to_one_command_do_not_shift_the_ones_that_follow() {
    let mut peer = Peer::that_does(vec![
        vec![Sync, Expect("a"), Send(b"{\"return\": 1}\n{\"return\": 99}\n"), UntilHangup],
        vec![Sync, Expect("b"), Send(TWO)],
    ]);
    assert_eq!(peer.call("a", PLENTY).await.unwrap(), 1);
    assert_eq!(peer.call("b", PLENTY).await.unwrap(), 2);
    peer.ended().await;
}

#[tokio::test]
async fn a_connection_that_ended_between_two_calls_is_opened_again() {
    let mut peer = Peer::that_does(vec![vec![Sync, Expect("a"), Send(ONE)], vec![Sync, Expect("b"), Send(TWO)]]);
    assert_eq!(peer.call("a", PLENTY).await.unwrap(), 1);
    // Lets the peer hang up first.
    tokio::time::sleep(SHORT).await;
    assert_eq!(peer.call("b", PLENTY).await.unwrap(), 2);
    peer.ended().await;
}

#[tokio::test]
async fn a_released_channel_is_another_clients_until_the_next_call_opens_it_again() {
    let mut peer = Peer::that_does(vec![
        vec![Sync, Expect("a"), Send(ONE), UntilHangup],
        vec![Sync, Expect("of another client"), Send(ONE), UntilHangup],
        vec![SyncAfter(ONE), Expect("b"), Send(TWO)],
    ]);
    let mut other = QgaTransport::new(peer.agent.endpoint().clone());
    assert_eq!(peer.call("a", PLENTY).await.unwrap(), 1);
    peer.agent.release().await;
    assert_eq!(other.call(request("of another client"), PLENTY).await.unwrap(), 1);
    drop(other);
    assert_eq!(peer.call("b", PLENTY).await.unwrap(), 2);
    peer.ended().await;
}

#[tokio::test]
async fn an_agent_that_several_hold_is_released_after_the_call_that_is_under_way() {
    let mut peer = Peer::that_does(vec![
        vec![Sync, Expect("slow"), Pause, Send(ONE), UntilHangup],
        vec![Sync, Expect("b"), Send(TWO)],
    ]);
    let endpoint = peer.agent.endpoint().clone();
    let shared = SharedAgent::new(std::mem::replace(&mut peer.agent, QgaTransport::new(endpoint)));
    let (mut asking, mut releasing) = (shared.clone(), shared);
    let asked = asking.call(request("slow"), PLENTY);
    let (answer, ()) = tokio::join!(asked, releasing.release());
    assert_eq!(answer.unwrap(), 1);
    assert_eq!(releasing.call(request("b"), PLENTY).await.unwrap(), 2);
    peer.ended().await;
}

#[tokio::test]
async fn an_error_of_the_agents_keeps_the_connection() {
    let refusal = b"{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command a has not been found\"}}\n";
    let mut peer = Peer::that_does(vec![vec![Sync, Expect("a"), Send(refusal), Expect("b"), Send(TWO)]]);
    assert!(matches!(peer.call("a", PLENTY).await, Err(AgentError::Unavailable { .. })));
    assert_eq!(peer.call("b", PLENTY).await.unwrap(), 2);
    peer.ended().await;
}

#[tokio::test]
async fn garbage_is_an_error_and_ends_the_connection() {
    for garbage in [&b"hello\n"[..], b"{\"return\": 1\n", b"\xC3\x28\n", b"\n", b"{}\n"] {
        let mut peer = Peer::that_does(vec![
            vec![Sync, Expect("a"), Send(garbage), UntilHangup],
            vec![Sync, Expect("b"), Send(TWO)],
        ]);
        let error = peer.call("a", PLENTY).await.unwrap_err();
        assert!(matches!(error, AgentError::Protocol { .. }), "{error}");
        assert_eq!(peer.call("b", PLENTY).await.unwrap(), 2);
        peer.ended().await;
    }
}

#[tokio::test]
async fn a_reply_that_breaks_off_is_an_error() {
    for half in [&b""[..], b"{\"return\": 1"] {
        let mut peer = Peer::that_does(vec![vec![Sync, Expect("a"), Send(half)], vec![Sync, Expect("b"), Send(TWO)]]);
        let error = peer.call("a", PLENTY).await.unwrap_err();
        assert!(matches!(error, AgentError::Lost { .. }) && error.may_have_executed(), "{error}");
        assert_eq!(peer.call("b", PLENTY).await.unwrap(), 2);
        peer.ended().await;
    }
}

#[tokio::test]
async fn a_line_of_2_gib_is_refused_before_it_is_stored() {
    let mut peer = Peer::that_does(vec![vec![Sync, Expect("a"), SendEndlessly], vec![Sync, Expect("b"), Send(TWO)]]);
    assert_too_long(peer.call("a", PLENTY).await, "a", SHORT_BYTES);
    assert_eq!(peer.call("b", PLENTY).await.unwrap(), 2);
    peer.took_no_more_than(SHORT_BYTES).await;
}

type Asking = for<'a> fn(&'a mut QgaTransport) -> BoxFuture<'a, Result<(), AgentError>>;

#[tokio::test]
async fn an_endless_reply_is_refused_where_that_of_its_command_would_have_ended() {
    let two_streams_of_16_mib_bytes = (32_usize << 20).div_ceil(3) * 4 + SHORT_BYTES;
    let commands: [(&str, usize, Asking); 10] = [
        ("guest-ping", SHORT_BYTES, |agent| Box::pin(async { ping(agent, PLENTY).await })),
        ("guest-info", SHORT_BYTES, |agent| Box::pin(async { info(agent, PLENTY).await.map(drop) })),
        ("guest-get-fsinfo", 4 << 20, |agent| Box::pin(async { fsinfo(agent, PLENTY).await.map(drop) })),
        ("guest-exec", SHORT_BYTES, |agent| Box::pin(async { exec(agent, &program(), PLENTY).await.map(drop) })),
        ("guest-exec-status", two_streams_of_16_mib_bytes, |agent| {
            Box::pin(async { exec_status(agent, Pid(77), PLENTY).await.map(drop) })
        }),
        ("guest-file-open", SHORT_BYTES, |agent| Box::pin(async { file_open(agent, "/a", PLENTY).await.map(drop) })),
        ("guest-fsfreeze-freeze", SHORT_BYTES, |agent| {
            Box::pin(async { freeze(agent, &FreezeScope::All, PLENTY).await.map(drop) })
        }),
        ("guest-fsfreeze-freeze-list", SHORT_BYTES, |agent| {
            let scope = FreezeScope::Mountpoints(Mountpoints::new(vec!["/a".into()]).unwrap());
            Box::pin(async move { freeze(agent, &scope, PLENTY).await.map(drop) })
        }),
        ("guest-fsfreeze-status", SHORT_BYTES, |agent| {
            Box::pin(async { freeze_status(agent, PLENTY).await.map(drop) })
        }),
        ("guest-fsfreeze-thaw", SHORT_BYTES, |agent| Box::pin(async { thaw(agent, PLENTY).await.map(drop) })),
    ];
    for (command, limit_bytes, asking) in commands {
        let mut peer = Peer::that_does(vec![vec![Sync, Expect(command), SendEndlessly]]);
        assert_too_long(asking(&mut peer.agent).await, command, limit_bytes);
        peer.took_no_more_than(limit_bytes).await;
    }
}

#[tokio::test]
async fn an_endless_reply_to_a_read_is_refused_after_as_many_bytes_as_were_asked_for() {
    for count in [1, 200_000, READ_COUNT_MAX_BYTES] {
        let steps =
            vec![Sync, Expect("guest-file-open"), Return(json!(1000)), Expect("guest-file-read"), SendEndlessly];
        let mut peer = Peer::that_does(vec![steps]);
        let file = file_open(&mut peer.agent, "/a", PLENTY).await.unwrap();
        let limit_bytes = count.div_ceil(3) * 4 + SHORT_BYTES;
        let read = file_read(&mut peer.agent, file, count, PLENTY).await;
        assert_too_long(read, "guest-file-read", limit_bytes);
        peer.took_no_more_than(limit_bytes).await;
    }
}

#[tokio::test]
async fn an_endless_reply_to_the_end_of_a_read_is_refused() {
    let steps = vec![Sync, Expect("guest-file-open"), Return(json!(1000)), Expect("guest-file-close"), SendEndlessly];
    let mut peer = Peer::that_does(vec![steps]);
    let file = file_open(&mut peer.agent, "/a", PLENTY).await.unwrap();
    assert_too_long(file_close(&mut peer.agent, file, PLENTY).await, "guest-file-close", SHORT_BYTES);
    peer.took_no_more_than(SHORT_BYTES).await;
}

#[tokio::test]
async fn the_longest_honest_replies_arrive_whole() {
    let stream = vec![b'x'; 16 << 20];
    let data = BASE64_STANDARD.encode(&stream);
    let status = json!({"exited": true, "exitcode": 0, "out-data": data, "err-data": data});
    let mut peer = Peer::that_does(vec![vec![Sync, Expect("guest-exec-status"), Return(status)]]);
    let finished = exec_status(&mut peer.agent, Pid(77), PLENTY).await.unwrap().unwrap();
    assert!(finished.stdout == stream && finished.stderr == stream);
    peer.ended().await;

    let content = vec![b'x'; READ_COUNT_MAX_BYTES];
    let read = json!({"count": content.len(), "buf-b64": BASE64_STANDARD.encode(&content), "eof": false});
    let steps = vec![Sync, Expect("guest-file-open"), Return(json!(1000)), Expect("guest-file-read"), Return(read)];
    let mut peer = Peer::that_does(vec![steps]);
    let file = file_open(&mut peer.agent, "/a", PLENTY).await.unwrap();
    assert!(file_read(&mut peer.agent, file, content.len(), PLENTY).await.unwrap() == content);
    peer.ended().await;
}

#[tokio::test]
async fn a_flood_in_place_of_the_synchronisation_ends_at_the_deadline() {
    let mut peer = Peer::that_does(vec![vec![SendEndlessly]]);
    let error = peer.call("a", SHORT).await.unwrap_err();
    assert!(matches!(error, AgentError::NoSync { .. }), "{error}");
    peer.ended().await;
}

#[tokio::test]
async fn a_channel_that_another_client_holds_is_named_as_such() {
    let mut peer = Peer::that_does(vec![vec![UntilHangup]]);
    let error = peer.call("a", SHORT).await.unwrap_err();
    assert!(matches!(error, AgentError::NoSync { .. }) && !error.may_have_executed(), "{error}");
    assert!(error.hint().unwrap().contains("another client may be holding the agent's channel (libvirt, Proxmox"));
    peer.ended().await;
}

#[tokio::test]
async fn a_connection_that_ends_during_synchronisation_did_not_send_the_command() {
    let mut peer = Peer::that_does(vec![vec![]]);
    let error = peer.call("a", PLENTY).await.unwrap_err();
    assert!(matches!(error, AgentError::SyncLost { .. }) && !error.may_have_executed(), "{error}");
    peer.ended().await;
}

#[tokio::test]
async fn a_qmp_socket_is_recognised() {
    let greeting = b"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}}}}\r\n";
    let mut peer = Peer::that_does(vec![vec![Send(greeting), UntilHangup]]);
    let error = peer.call("a", PLENTY).await.unwrap_err();
    assert!(matches!(error, AgentError::QmpSocket { .. }) && !error.may_have_executed(), "{error}");
    peer.ended().await;
}

#[tokio::test]
async fn a_socket_that_is_not_there_or_not_served_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("qga.sock");
    let mut agent = QgaTransport::new(Endpoint::Unix(path.clone()));
    let error = agent.call(request("a"), PLENTY).await.unwrap_err();
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(error.hint().unwrap().contains("no such socket"));

    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let error = agent.call(request("a"), PLENTY).await.unwrap_err();
    assert!(error.hint().unwrap().contains("nobody listens there"), "{error}");
}

#[tokio::test]
async fn tcp_carries_the_same_protocol() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint: Endpoint = format!("tcp:{}", listener.local_addr().unwrap()).parse().unwrap();
    let script = tokio::spawn(async move {
        play(listener.accept().await.unwrap().0, vec![SyncAfter(ONE), Expect("a"), Send(TWO)]).await;
    });
    assert_eq!(QgaTransport::new(endpoint).call(request("a"), PLENTY).await.unwrap(), 2);
    script.await.unwrap();
}

#[tokio::test]
async fn the_longest_deadline_is_one_that_a_clock_can_hold() {
    let mut peer = Peer::that_does(vec![vec![Sync, Expect("a"), Send(ONE)]]);
    assert_eq!(peer.call("a", Duration::MAX).await.unwrap(), 1);
    peer.ended().await;
}
