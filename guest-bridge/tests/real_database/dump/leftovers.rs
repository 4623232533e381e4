//! Whoever goes away, nothing of a dump stays in the guest.

use std::{fs, process::Command, time::Duration};

use guest_bridge::dump::{DumpError, DumpName, DumpStream, DumpTerms, end};
use stillpoint_tests::machine::agent::PrivateAgent;

use super::super::server::PrivateServer;
use super::machine::{SOON, TERMS, fill, left_of, shared, start, until_nothing_is_left_of};

async fn under_way(agent: &PrivateAgent, name: &DumpName, terms: DumpTerms) -> (PrivateServer, DumpStream) {
    let server = PrivateServer::start();
    fill(&server, 40);
    let mut stream = start(agent, &server, name, terms).await;
    stream.next().await.unwrap().unwrap();
    assert!(!left_of(name).is_empty());
    (server, stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_dropped_only_when_its_client_is_ended_and_its_files_are_gone() {
    let (agent, name) = (PrivateAgent::start(&[]), DumpName::new());
    let (_server, stream) = under_way(&agent, &name, TERMS).await;
    drop(stream);
    assert_eq!(left_of(&name), [""; 0]);
}

#[tokio::test]
async fn whoever_knows_its_name_ends_the_dump_of_a_dead_host_as_often_as_he_likes() {
    let (agent, name) = (PrivateAgent::start(&[]), DumpName::new());
    let (_server, stream) = under_way(&agent, &name, TERMS).await;
    // As if this process were killed. The agent serves one client, so its connection ends, too.
    let mut agent_of_dead = shared(&agent);
    std::mem::forget(stream);
    drop(agent);
    let agent = PrivateAgent::start(&[]);
    for _ in 0..2 {
        end(&mut shared(&agent), &name, SOON).await.unwrap();
        assert_eq!(left_of(&name), [""; 0]);
    }
    end(&mut shared(&agent), &DumpName::new(), SOON).await.unwrap();
    guest_bridge::agent::Agent::release(&mut agent_of_dead).await;
}

#[tokio::test]
async fn a_dump_that_nobody_reads_ends_by_itself() {
    let (agent, name) = (PrivateAgent::start(&[]), DumpName::new());
    let terms = DumpTerms { progress: Duration::from_secs(5), idle: Duration::from_secs(1), ..TERMS };
    let (_server, mut stream) = under_way(&agent, &name, terms).await;
    until_nothing_is_left_of(&name).await;
    assert!(matches!(stream.next().await, Err(DumpError::Gone { received_bytes: 1.. })));
}

#[tokio::test]
async fn a_dump_ends_after_its_lifetime_however_much_is_read() {
    let (agent, name) = (PrivateAgent::start(&[]), DumpName::new());
    let (_server, mut stream) = under_way(&agent, &name, DumpTerms { lifetime: Duration::from_secs(2), ..TERMS }).await;
    until_nothing_is_left_of(&name).await;
    assert!(matches!(stream.next().await, Err(DumpError::Gone { .. })));
}

#[tokio::test]
async fn a_dump_whose_keeper_was_killed_is_ended_all_the_same() {
    let (agent, name) = (PrivateAgent::start(&[]), DumpName::new());
    let (_server, mut stream) = under_way(&agent, &name, TERMS).await;
    let pid = ["/run", "/dev/shm"].iter().find_map(|place| fs::read_to_string(format!("{place}/{name}/pid")).ok());
    assert!(Command::new("kill").args(["-KILL", pid.unwrap().trim()]).status().unwrap().success());
    while stream.next().await.is_ok() {}
    stream.close().await.unwrap();
    until_nothing_is_left_of(&name).await;
}

#[tokio::test]
async fn a_start_that_is_given_up_leaves_nothing() {
    let (agent, server, name) = (PrivateAgent::start(&[]), PrivateServer::start(), DumpName::new());
    let given_up = tokio::time::timeout(Duration::from_millis(30), start(&agent, &server, &name, TERMS)).await;
    drop(given_up);
    until_nothing_is_left_of(&name).await;
}
