//! The integration tests, and the lab: a hypervisor with real LVM and a real guest (`tests/lab`).

pub mod lab;
