//! A peer at the agent's socket that is an agent but for one answer, through the transport that real ones are reached by.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use guest_bridge::agent::{Agent, Endpoint, QgaTransport, Request, SharedAgent, SimulatedGuest};
use serde_json::{Value, json};
use stillpoint::ask::connect::World;
use stillpoint::failure::exit::Exit;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::setting::{Setting, assert_all_or_nothing};

/// What comes instead of an answer. Whatever was asked has been done before.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Something that is no answer of anybody's.
    Garbage,
    /// The beginning of one, and a hang-up.
    HalfALine,
    /// One without an end.
    Gigabytes,
    /// The answer to another command.
    AnotherAnswer,
    /// An answer before it that nobody has waited for, as a stale one.
    Stale,
    /// An error whose words are not for a terminal.
    Complaint,
    /// A hang-up, and then the wrong id of a resynchronisation.
    WrongId,
}

const MANNERS: [Manner; 7] = [
    Manner::Garbage,
    Manner::HalfALine,
    Manner::Gigabytes,
    Manner::AnotherAnswer,
    Manner::Stale,
    Manner::Complaint,
    Manner::WrongId,
];

struct Peer {
    guest: SimulatedGuest,
    /// Which of its commands, from 0, it answers in which manner.
    bad: Option<(usize, Manner)>,
    commands: Arc<AtomicUsize>,
    syncs_wrong: bool,
}

impl Peer {
    /// Serves one client after the other, as qemu-ga does.
    async fn serve(mut self, listener: UnixListener) {
        while let Ok((client, _)) = listener.accept().await {
            // Whoever hangs up is done.
            self.serve_one(client).await.ok();
        }
    }

    async fn serve_one(&mut self, client: UnixStream) -> std::io::Result<()> {
        let (read, mut write) = client.into_split();
        let mut read = BufReader::new(read);
        let mut line = Vec::new();
        while read.read_until(b'\n', &mut line).await? > 0 {
            let text: Vec<u8> = line.drain(..).filter(|byte| *byte != 0xFF).collect();
            let asked: Value = serde_json::from_slice(&text)?;
            if asked["execute"] == "guest-sync-delimited" {
                let id = asked["arguments"]["id"].as_u64().unwrap() + u64::from(std::mem::take(&mut self.syncs_wrong));
                write.write_all(&[&b"\xff"[..], &line_of(&json!({"return": id}))].concat()).await?;
                continue;
            }
            let answer = self.execute(&asked).await;
            let nth = self.commands.fetch_add(1, Ordering::SeqCst);
            match self.bad.filter(|(at, _)| *at == nth).map(|(_, manner)| manner) {
                None => write.write_all(&answer).await?,
                Some(Manner::Garbage) => write.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?,
                Some(Manner::HalfALine) => return write.write_all(&answer[..answer.len() / 2]).await,
                Some(Manner::Gigabytes) => loop {
                    write.write_all(&[b'x'; 1 << 16]).await?;
                },
                Some(Manner::AnotherAnswer) => write.write_all(&line_of(&json!({"return": {"pid": "x"}}))).await?,
                Some(Manner::Stale) => {
                    write.write_all(&[&line_of(&json!({"return": {}}))[..], &answer].concat()).await?;
                }
                Some(Manner::Complaint) => {
                    let error = json!({"class": "GenericError", "desc": "\u{1b}[2J\u{7}no".repeat(5_000)});
                    write.write_all(&line_of(&json!({ "error": error }))).await?;
                }
                Some(Manner::WrongId) => {
                    self.syncs_wrong = true;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn execute(&mut self, asked: &Value) -> Vec<u8> {
        let command = Box::leak(asked["execute"].as_str().unwrap().to_owned().into_boxed_str());
        let request = Request { command, arguments: asked["arguments"].clone(), reply_max_bytes: usize::MAX };
        match self.guest.call(request, Duration::from_secs(5)).await {
            Ok(value) => line_of(&json!({ "return": value })),
            Err(error) => line_of(&json!({"error": {"class": "GenericError", "desc": error.to_string()}})),
        }
    }
}

fn line_of(value: &Value) -> Vec<u8> {
    format!("{value}\n").into_bytes()
}

/// A backup through such a peer, and how many commands it was asked.
async fn back_up(bad: Option<(usize, Manner)>) -> usize {
    // Real time passes here, where anything is waited for.
    let setting =
        Setting { config: "[defaults]\nguest_sync_deadline_s = 5\nmarker_deadline_s = 5\n", ..Setting::new() };
    let socket = setting.path("qga");
    let commands = Arc::new(AtomicUsize::new(0));
    let peer = Peer { guest: setting.guest.clone(), bad, commands: commands.clone(), syncs_wrong: false };
    let serving = tokio::spawn(peer.serve(UnixListener::bind(&socket).unwrap()));
    let agent = SharedAgent::new(QgaTransport::new(endpoint(&socket)));
    let result = setting.back_up_in(World { agent: Some(agent), ..setting.world() }).await;
    serving.abort();

    let case = format!("{bad:?}");
    assert_all_or_nothing(&setting, &result, &case);
    setting.assert_nothing_is_held(&case);
    // Of two in a row, the second try of what only burdens the guest a little may be the other: it is said, and left to a recovery.
    if !matches!(bad, Some((_, Manner::WrongId))) {
        setting.assert_no_marker_is_left(&case);
    }
    match result {
        Ok(outcome) => assert!(matches!(outcome.exit(), Exit::Done | Exit::Weaker), "{case}: {:?}", outcome.exit()),
        Err(failure) => {
            assert_eq!(failure.exit(), Exit::Failed, "{case}: {failure}");
            assert!(!failure.to_string().contains('\u{1b}'), "{case}: {failure}");
        }
    }
    commands.load(Ordering::SeqCst)
}

fn endpoint(socket: &Path) -> Endpoint {
    format!("unix:{}", socket.display()).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_answered_to_whichever_command_leaves_nothing_behind() {
    let commands = back_up(None).await;
    assert!(commands > 15, "{commands}");
    let mut running = JoinSet::new();
    for nth in 0..commands {
        for manner in MANNERS {
            running.spawn(back_up(Some((nth, manner))));
        }
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}
