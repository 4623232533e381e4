//! How much of a reply is read: as much as its command may carry.

use base64::{Engine, prelude::BASE64_STANDARD};
use guest_bridge::agent::{
    AgentError, BoxFuture, FreezeScope, Mountpoints, Pid, Program, QgaTransport, READ_COUNT_MAX_BYTES, exec,
    exec_status, file_close, file_open, file_read, freeze, freeze_status, fsinfo, info, ping, thaw,
};
use serde_json::json;

use crate::peer::{Expect, PLENTY, Peer, Return, SHORT_BYTES, Send, SendEndlessly, Sync, TWO};

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
