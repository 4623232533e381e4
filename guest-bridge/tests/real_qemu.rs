//! Ports that are plugged into a real QEMU, which has no guest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use guest_bridge::{
    dump::{
        DumpName,
        port::{Port, PortError, unplug, until_open},
    },
    qmp::{Qmp, QmpError},
};
use serde_json::json;
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(30);

struct Machine {
    qemu: Child,
    folder: TempDir,
}

impl Machine {
    /// Its processor stands still.
    async fn start(devices: &[&str]) -> (Self, Qmp) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("qmp");
        let monitor = format!("unix:{},server=on,wait=off", socket.display());
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-S", "-nodefaults", "-display", "none", "-M", "q35", "-qmp", &monitor]).args(devices);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let machine = Self { qemu: command.spawn().expect("qemu-system-x86_64 is needed"), folder };
        for _ in 0..600 {
            match Qmp::connect(&socket, SOON).await {
                Ok(qmp) => return (machine, qmp),
                Err(QmpError::Connect { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(error) => panic!("{error}"),
            }
        }
        panic!("QEMU does not listen");
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("port")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.qemu.kill().ok();
        self.qemu.wait().ok();
    }
}

const SERIAL: [&str; 2] = ["-device", "virtio-serial"];

async fn chardevs(qmp: &mut Qmp) -> String {
    qmp.execute("query-chardev", json!({}), SOON).await.unwrap().to_string()
}

#[tokio::test]
async fn a_port_is_plugged_in_and_taken_out_as_often_as_wanted() {
    let (machine, mut qmp) = Machine::start(&SERIAL).await;
    let (name, socket) = (DumpName::new(), machine.socket());
    for _ in 0..2 {
        let port = Port::plug(&mut qmp, &name, &socket, SOON).await.unwrap();
        assert!(chardevs(&mut qmp).await.contains(name.as_str()));
        for _ in 0..2 {
            unplug(&mut qmp, &name, &socket, SOON).await.unwrap();
            assert!(!chardevs(&mut qmp).await.contains(name.as_str()) && !socket.exists());
        }
        drop(port);
    }
}

#[tokio::test]
async fn a_machine_without_a_bus_is_left_as_it_was() {
    let (machine, mut qmp) = Machine::start(&[]).await;
    let (name, socket) = (DumpName::new(), machine.socket());
    let before = chardevs(&mut qmp).await;
    let error = Port::plug(&mut qmp, &name, &socket, SOON).await.unwrap_err();
    assert!(matches!(&error, PortError::Qmp { source: QmpError::Refused { .. }, .. }), "{error}");
    assert!(error.hint().unwrap().contains("virtio-serial"), "{error}");
    assert_eq!(chardevs(&mut qmp).await, before);
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused_and_stays_as_it_is() {
    let (machine, mut qmp) = Machine::start(&SERIAL).await;
    let (name, socket) = (DumpName::new(), machine.socket());
    let _port = Port::plug(&mut qmp, &name, &socket, SOON).await.unwrap();
    let error = Port::plug(&mut qmp, &name, &machine.folder.path().join("other"), SOON).await.unwrap_err();
    assert!(error.hint().unwrap().contains("already"), "{error}");
    assert!(chardevs(&mut qmp).await.contains(name.as_str()));
}

#[tokio::test]
async fn a_guest_that_does_not_open_its_port_is_waited_for_in_bounds() {
    let (machine, mut qmp) = Machine::start(&SERIAL).await;
    let (name, socket) = (DumpName::new(), machine.socket());
    let _port = Port::plug(&mut qmp, &name, &socket, SOON).await.unwrap();
    let error = until_open(&mut qmp, &name, true, Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error, PortError::Qmp { source: QmpError::Timeout { .. }, .. }), "{error}");
}

#[tokio::test]
async fn a_path_that_no_socket_can_have_is_refused_before_qemu_is_asked() {
    let (_machine, mut qmp) = Machine::start(&SERIAL).await;
    for odd in [format!("/{}", "x".repeat(107)), "port".to_owned()] {
        let error = Port::plug(&mut qmp, &DumpName::new(), odd.as_ref(), SOON).await.unwrap_err();
        assert!(matches!(error, PortError::Socket { .. }), "{error}");
    }
}
