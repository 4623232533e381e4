//! The stream against a guest that answers by the book, and fails on demand.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{io::AsyncWriteExt, net::UnixStream};

use super::{DumpError, DumpName, DumpStream, DumpTerms, Login, end, port::Port};
use crate::{
    agent::{Exit, Fault, Finished, Program, SharedAgent, SimulatedGuest},
    call_log::CallLog,
    database::{Credentials, server::Flavour},
};

const SECOND: Duration = Duration::from_secs(1);
const TERMS: DumpTerms = DumpTerms { start: SECOND, progress: SECOND, idle: SECOND, lifetime: SECOND };

/// What the script was asked for, word by word, without its text.
type Asked = Arc<Mutex<Vec<Vec<String>>>>;

fn finished(code: i64, stdout: impl Into<Vec<u8>>, stderr: &str) -> Finished {
    Finished { exit: Exit::Code(code), stdout: stdout.into(), stderr: stderr.as_bytes().to_vec() }
}

/// A guest in which a dump starts, and that answers to each read with the next of `reads`.
fn guest(reads: Vec<Finished>) -> (SimulatedGuest, Asked) {
    let asked = Asked::default();
    let mut reads = VecDeque::from(reads);
    let seen = asked.clone();
    let guest = SimulatedGuest::new(CallLog::new(), ["/"]).runs(move |program: &Program| {
        let words = program.args[3..].to_vec();
        seen.lock().unwrap().push(words.clone());
        match words[0].as_str() {
            "start" => finished(0, "77 mysqldump  Ver 9.7.4\n", ""),
            "read" => reads.pop_front().unwrap_or_else(|| finished(3, "", "")),
            _ => finished(0, "", ""),
        }
    });
    (guest, asked)
}

async fn started(guest: SimulatedGuest, name: &DumpName) -> Result<DumpStream, DumpError> {
    let credentials = Some(Credentials::new("backup", Some("geheim".to_owned())));
    let login = Login { flavour: Flavour::MySql, credentials, socket: Some("/run/s".to_owned()) };
    let arguments = ["--".to_owned(), "shop".to_owned()];
    DumpStream::start(SharedAgent::new(guest), name.clone(), &login, &arguments, TERMS).await
}

fn commands(asked: &Asked) -> Vec<String> {
    asked.lock().unwrap().iter().map(|words| words[0].clone()).collect()
}

/// What `reads` come to.
async fn carried(name: &DumpName, reads: Vec<Finished>) -> Result<(Vec<u8>, Exit, u64), DumpError> {
    let mut stream = started(guest(reads).0, name).await.unwrap();
    let mut dump = Vec::new();
    loop {
        match stream.next().await {
            Ok(Some(piece)) => dump.extend(piece),
            Ok(None) => break,
            Err(error) => {
                assert!(matches!(stream.next().await, Err(DumpError::Closed)));
                return Err(error);
            }
        }
    }
    let ended = stream.ended().unwrap();
    assert_eq!(ended.received_bytes, dump.len() as u64);
    Ok((dump, ended.exit, ended.counted_bytes))
}

#[tokio::test(start_paused = true)]
async fn the_socket_comes_before_the_arguments_and_no_word_has_the_login() {
    let name = DumpName::new();
    let (guest, asked) = guest(Vec::new());
    let stream = started(guest, &name).await.unwrap();
    assert_eq!((stream.client().pid, stream.client().version.as_str()), (77, "mysqldump  Ver 9.7.4"));
    let start = asked.lock().unwrap()[0].clone();
    assert_eq!(start[..3], ["start", name.as_str(), "mysql"]);
    assert_eq!(start[3], "agent");
    assert_eq!(start[6..], ["--socket=/run/s", "--", "shop"]);
    assert!(!start.iter().any(|word| word.contains("geheim")));
}

#[tokio::test(start_paused = true)]
async fn pieces_come_in_their_order_and_end_where_the_guest_counted() {
    let name = DumpName::new();
    let (front, back) = name.as_str().split_at(9);
    let zeros = "\0".repeat(100);
    let ways = [
        // The end in a piece of its own, in the last one, and cut in two.
        vec![finished(0, "abc", ""), finished(0, "def", ""), finished(0, format!("{name}{zeros}"), "ended 0 6\n")],
        vec![finished(0, "abc", ""), finished(0, format!("def{name}{zeros}"), "ended 0 6\n")],
        vec![
            finished(0, format!("abcdef{front}"), "ended 0 6\n"),
            finished(0, format!("{back}{zeros}"), "ended 0 6\n"),
        ],
        // The client had ended when the first piece was read.
        vec![finished(0, "abc", "ended 0 6\n"), finished(0, format!("def{name}"), "ended 0 6\n")],
    ];
    for reads in ways {
        assert_eq!(carried(&name, reads).await.unwrap(), (b"abcdef".to_vec(), Exit::Code(0), 6));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_made_nothing_is_an_end_of_its_own() {
    let name = DumpName::new();
    let reads = vec![finished(0, format!("{name}\0\0"), "ended 2 0\nmysqldump: Got error: 1045\n")];
    assert_eq!(carried(&name, reads).await.unwrap(), (Vec::new(), Exit::Code(2), 0));
}

#[tokio::test(start_paused = true)]
async fn bytes_that_were_lost_or_doubled_on_the_way_are_noticed() {
    let name = DumpName::new();
    for data in ["abcde", "abcdefg"] {
        let reads = vec![finished(0, format!("{data}{name}\0"), "ended 0 6\n")];
        assert!(matches!(carried(&name, reads).await, Err(DumpError::BytesDiffer { counted_bytes: 6 })), "{data}");
    }
    let reads = vec![finished(0, "abcdefgh", ""), finished(0, format!("{name}"), "ended 0 6\n")];
    assert!(matches!(carried(&name, reads).await, Err(DumpError::BytesDiffer { counted_bytes: 6 })));
}

#[tokio::test(start_paused = true)]
async fn a_dump_that_is_gone_says_how_much_had_come() {
    let name = DumpName::new();
    for last in [finished(3, "", ""), finished(0, "", "")] {
        let gone = carried(&name, vec![finished(0, "abc", ""), last]).await;
        assert!(matches!(gone, Err(DumpError::Gone { received_bytes: 3 })), "{gone:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_none_is_not_believed() {
    let name = DumpName::new();
    let odd = [
        finished(0, "abc", "dd: what\n"),
        finished(0, vec![b'x'; DumpStream::PIECE_MAX_BYTES + 1], ""),
        finished(9, "abc", "what"),
        finished(0, "abc", "ended 0 18446744073709551616\n"),
    ];
    for odd in odd {
        let answer = carried(&name, vec![odd]).await;
        assert!(matches!(answer, Err(DumpError::Unexpected { .. })), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_guest_lacks_is_said_in_its_words() {
    for code in [5, 6, 7] {
        let guest =
            SimulatedGuest::new(CallLog::new(), ["/"]).runs(move |program: &Program| match &program.args[3][..] {
                "start" => finished(code, "", "there is no mysqldump\u{1b}\n"),
                _ => finished(0, "", ""),
            });
        let error = started(guest, &DumpName::new()).await.err().unwrap();
        assert!(
            matches!(&error, DumpError::Impossible { problem } if problem == "there is no mysqldump\\u{1b}"),
            "{error}"
        );
        assert!(error.hint().is_some());
    }
    let blocked = SimulatedGuest::new(CallLog::new(), ["/"]).blocks("guest-exec");
    let error = started(blocked, &DumpName::new()).await.err().unwrap();
    assert!(matches!(&error, DumpError::Impossible { problem } if problem.contains("guest-exec")), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_answer_is_lost_is_ended() {
    let (guest, asked) = guest(Vec::new());
    let error = started(guest.fails_at("guest-exec-status", Fault::DoneButLost), &DumpName::new()).await.err().unwrap();
    assert!(matches!(error, DumpError::Agent { .. }), "{error}");
    assert_eq!(commands(&asked), ["start", "end"]);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_does_not_reach_the_guest_is_tried_again() {
    let asked = Asked::default();
    let seen = asked.clone();
    let guest = SimulatedGuest::new(CallLog::new(), ["/"]).runs(move |program: &Program| {
        let mut seen = seen.lock().unwrap();
        seen.push(program.args[3..].to_vec());
        match (program.args[3].as_str(), seen.len()) {
            ("start", _) => finished(0, "no process", ""),
            (_, 2) => finished(4, "", "still there"),
            _ => finished(0, "", ""),
        }
    });
    started(guest, &DumpName::new()).await.err().unwrap();
    assert_eq!(commands(&asked), ["start", "end", "end"]);
}

#[tokio::test(start_paused = true)]
async fn a_piece_whose_answer_is_lost_ends_the_reading() {
    let name = DumpName::new();
    let (guest, asked) = guest(vec![finished(0, "abc", ""), finished(0, "def", "")]);
    let mut stream = started(guest.clone(), &name).await.unwrap();
    stream.next().await.unwrap().unwrap();
    guest.fails_at("guest-exec-status", Fault::DoneButLost);
    assert!(matches!(stream.next().await, Err(DumpError::Agent { .. })));
    assert!(matches!(stream.next().await, Err(DumpError::Closed)));
    stream.close().await.unwrap();
    assert_eq!(commands(&asked), ["start", "read", "read", "end"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_dropped_has_lost_its_piece() {
    let (guest, _) = guest(vec![finished(0, "abc", ""), finished(0, "def", "")]);
    let mut stream = started(guest, &DumpName::new()).await.unwrap();
    assert!(tokio::time::timeout(Duration::ZERO, stream.next()).await.is_err());
    assert!(matches!(stream.next().await, Err(DumpError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_ended_is_said() {
    let stays = SimulatedGuest::new(CallLog::new(), ["/"]).runs(|_| finished(4, "", "still there: /run/x\n"));
    let error = end(&mut SharedAgent::new(stays), &DumpName::new(), SECOND).await.unwrap_err();
    assert!(matches!(&error, DumpError::StillThere { problem } if problem.contains("/run/x")), "{error}");
}

/// A dump through a port of which the guest writes `writes`, one after the other, and says `said` when it is asked.
async fn through_a_port(name: &DumpName, writes: Vec<Vec<u8>>, said: &'static str) -> Result<Vec<u8>, DumpError> {
    let (host, mut qemu) = UnixStream::pair().unwrap();
    let guest = SimulatedGuest::new(CallLog::new(), ["/"]).runs(move |program: &Program| match &program.args[3][..] {
        "start" => finished(0, "77 mysqldump  Ver 9.7.4\n", ""),
        "status" => finished(0, "", said),
        _ => finished(0, "", ""),
    });
    let login = Login { flavour: Flavour::MySql, credentials: None, socket: None };
    let (agent, port) = (SharedAgent::new(guest), Port { stream: host });
    let terms = DumpTerms { progress: 3 * SECOND, ..TERMS };
    let mut stream = DumpStream::start_through_port(port, agent, name.clone(), &login, &[], terms).await.unwrap();
    let closes = said == "closes";
    let written = tokio::spawn(async move {
        for write in writes {
            qemu.write_all(&write).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // It has no end of file.
        (!closes).then_some(qemu)
    });
    let mut dump = Vec::new();
    let read = loop {
        match stream.next().await {
            Ok(Some(piece)) => dump.extend(piece),
            Ok(None) => break Ok(dump),
            Err(error) => break Err(error),
        }
    };
    drop(written.await.unwrap());
    read
}

#[tokio::test]
async fn what_comes_through_a_port_ends_at_the_dumps_name_however_that_is_cut() {
    let name = DumpName::new();
    let (front, back) = name.as_str().as_bytes().split_at(20);
    let ways = [
        vec![b"abc".to_vec(), [b"def", front, back].concat()],
        vec![[b"abcdef", front].concat(), back.to_vec()],
        vec![[&b"abcdef"[..], front, back].concat()],
    ];
    for writes in ways {
        assert_eq!(through_a_port(&name, writes, "ended 0 6\n").await.unwrap(), b"abcdef");
    }
}

#[tokio::test]
async fn a_long_dump_through_a_port_keeps_no_part_of_its_end() {
    let name = DumpName::new();
    let data = vec![b'x'; 3 << 20];
    let writes = vec![data.clone(), name.as_str().as_bytes().to_vec()];
    assert_eq!(through_a_port(&name, writes, "ended 0 3145728\n").await.unwrap(), data);
}

#[tokio::test]
async fn a_port_with_another_count_or_that_closes_or_stands_still_is_an_error() {
    let name = DumpName::new();
    let ended = |data: &str| vec![format!("{data}{name}").into_bytes()];
    let lost = through_a_port(&name, ended("abcde"), "ended 0 6\n").await;
    assert!(matches!(lost, Err(DumpError::BytesDiffer { counted_bytes: 6 })), "{lost:?}");
    let closed = through_a_port(&name, vec![b"abc".to_vec()], "closes").await;
    assert!(matches!(closed, Err(DumpError::Gone { .. })), "{closed:?}");
    let still = through_a_port(&name, vec![b"abc".to_vec()], "").await;
    assert!(matches!(still, Err(DumpError::NoProgress { .. })), "{still:?}");
}
