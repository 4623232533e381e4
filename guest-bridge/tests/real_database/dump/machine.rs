//! What these tests need of this machine, and what must not be left on it.

use std::{fs, path::Path, time::Duration};

use guest_bridge::{
    agent::{Endpoint, QgaTransport, SharedAgent},
    database::{Credentials, server::Flavour},
    dump::{DumpError, DumpName, DumpStream, DumpTerms, Ended, Login},
};
use stillpoint_tests::machine::{agent::PrivateAgent, database_product::Product};

use super::super::server::{PASSWORD, PrivateServer};

pub const SOON: Duration = Duration::from_secs(60);
pub const TERMS: DumpTerms = DumpTerms { start: SOON, progress: SOON, idle: SOON, lifetime: Duration::from_secs(600) };

pub fn shared(agent: &PrivateAgent) -> SharedAgent {
    SharedAgent::new(QgaTransport::new(Endpoint::Unix(agent.socket())))
}

pub fn flavour(server: &PrivateServer) -> Flavour {
    match server.product() {
        Product::MariaDb => Flavour::MariaDb,
        Product::MySql => Flavour::MySql,
    }
}

pub fn login(server: &PrivateServer) -> Login {
    Login {
        flavour: flavour(server),
        credentials: Some(Credentials::new("stillpoint", Some(PASSWORD.to_owned()))),
        socket: Some(server.socket().display().to_string()),
    }
}

/// Options of the product's client, and then these words.
pub fn words(server: &PrivateServer, words: &[&str]) -> Vec<String> {
    let mut options = vec!["--single-transaction", "--hex-blob"];
    if server.product() == Product::MySql {
        // Else its client would take the lock that it takes for GTIDs.
        options.push("--set-gtid-purged=OFF");
    }
    options.iter().chain(words).map(ToString::to_string).collect()
}

/// A dump of the schema `shop`.
pub async fn start(agent: &PrivateAgent, server: &PrivateServer, name: &DumpName, terms: DumpTerms) -> DumpStream {
    let arguments = words(server, &["--databases", "--", "shop"]);
    DumpStream::start(shared(agent), name.clone(), &login(server), &arguments, terms).await.unwrap()
}

/// All that is left of a stream, and how it ended.
pub async fn carried(stream: &mut DumpStream) -> Result<(Vec<u8>, Ended), DumpError> {
    let mut dump = Vec::new();
    while let Some(piece) = stream.next().await? {
        assert!(!piece.is_empty() && piece.len() <= DumpStream::PIECE_MAX_BYTES);
        dump.extend(piece);
    }
    Ok((dump, stream.ended().unwrap()))
}

/// What there is of the dump in the guest, which is this machine: files, and processes that have its name among their words.
pub fn left_of(name: &DumpName) -> Vec<String> {
    let mut left: Vec<String> = ["/run", "/dev/shm", "/tmp"]
        .iter()
        .flat_map(|place| fs::read_dir(place).unwrap().flatten())
        .map(|entry| entry.path().display().to_string())
        .filter(|path| path.contains(name.as_str()))
        .collect();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let folder = fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten();
        let opens = folder.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|to| is_of(&to, name));
        if opens || String::from_utf8_lossy(&line).contains(name.as_str()) {
            left.push(format!("{}: {}", entry.path().display(), String::from_utf8_lossy(&line[..line.len().min(80)])));
        }
    }
    left
}

fn is_of(path: &Path, name: &DumpName) -> bool {
    path.to_string_lossy().contains(name.as_str())
}

pub async fn until_nothing_is_left_of(name: &DumpName) {
    let end = tokio::time::Instant::now() + SOON;
    while !left_of(name).is_empty() {
        assert!(tokio::time::Instant::now() < end, "{:?}", left_of(name));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Makes `shop.big`, of which a dump has so many MiB or a little less.
pub fn fill(server: &PrivateServer, megabytes: u32) {
    server.sql(
        "CREATE TABLE shop.big (id INT PRIMARY KEY AUTO_INCREMENT, pad MEDIUMBLOB); \
         INSERT INTO shop.big (pad) VALUES (REPEAT('x', 262144)), (REPEAT('y', 262144));",
    );
    // Each row is twice as long in the dump.
    let mut rows = 2;
    while rows * 2 <= megabytes * 2 {
        server.sql("INSERT INTO shop.big (pad) SELECT pad FROM shop.big");
        rows *= 2;
    }
}
