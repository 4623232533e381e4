//! A VM that is off, with a real MariaDB's data directory on its disk: shut down, or cut off.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;

use lvm::simulated::SimulatedLvm;
use lvm::{Bytes, Lvm};
use stillpoint::ask::config::Config;
use stillpoint::ask::connect::World;
use stillpoint::ask::job::{Asked, Job};
use stillpoint::backup::{self, Outcome, destination::Destination};
use stillpoint::clock::Clock;
use stillpoint::grade::{Grade, Indication};
use stillpoint::run::event::Listeners;
use stillpoint::stop::Stop;
use stillpoint_tests::machine::database_server::{DatabaseServer, install};
use stillpoint_tests::machine::image::blank;
use stillpoint_tests::machine::program::run;

/// What a backup of a VM is whose one disk holds `root`, and that nobody has open.
fn back_up(root: &Path) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("disk.img");
    blank(&image, 256 << 20);
    run("mke2fs", &["-q", "-F", "-t", "ext4", "-d", root.to_str().unwrap(), image.to_str().unwrap()]);
    let dev = folder.path().join("dev");
    let lvm = SimulatedLvm::new(&dev, drop);
    lvm.add_vg("vg", Bytes(1 << 30));
    lvm.add_lv(&"vg/db".parse().unwrap(), &std::fs::read(image).unwrap());
    lvm.close(&"vg/db".parse().unwrap());
    let world = World {
        lvm: Lvm::with_device_dir(Arc::new(lvm), dev),
        agent: None,
        database: None,
        session: None,
        guest_login: None,
        guardian: None,
        clock: Clock::system(),
    };
    let asked = Asked {
        disks: vec!["vg/db".into()],
        no_freeze: true,
        state_dir: Some(folder.path().join("state")),
        ..Asked::default()
    };
    let job = Job::new(asked, &Config::default()).unwrap();
    let destination = Destination::Folder { folder: folder.path().to_owned(), name: "b".into() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(backup::run(&job, &destination, &world, Listeners::default(), &Stop::default())).unwrap()
}

/// A root folder with a database in its usual place, which `act` has done something to.
fn after(act: impl FnOnce(&Path)) -> Outcome {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("var/lib/mysql");
    std::fs::create_dir_all(data.parent().unwrap()).unwrap();
    install(&data, Path::new(env!("CARGO_TARGET_TMPDIR")));
    act(&data);
    back_up(root.path())
}

fn write_rows(data: &Path) -> DatabaseServer {
    let server = DatabaseServer::start(data, &["--skip-networking", "--innodb-use-native-aio=0"]);
    server
        .sql("CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY) ENGINE=InnoDB; INSERT INTO d.t VALUES (1), (2)");
    server
}

#[test]
fn a_database_that_was_shut_down_is_clean() {
    let Outcome { receipt, .. } = after(|data| {
        write_rows(data).shut_down();
    });
    assert_eq!(receipt.grade, Grade::Clean, "{:?}", receipt.reasons);
}

#[test]
fn a_database_that_was_cut_off_is_not_clean_however_clean_its_filesystem_is() {
    let Outcome { receipt, .. } = after(|data| drop(write_rows(data)));
    assert_eq!(receipt.grade, Grade::Filesystem, "{:?}", receipt.reasons);
    assert_eq!(receipt.indications, [Indication::DatabaseNotShutDown]);
    assert!(receipt.reasons[0].contains("/var/lib/mysql/"), "{:?}", receipt.reasons);
}
