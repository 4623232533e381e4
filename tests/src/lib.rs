//! What the tests of all packages share (`machine`), and the lab: a hypervisor with real LVM and a real guest (`tests/lab`).
//!
//! It depends on none of the packages under test, so that the tests of each can use it.

pub mod lab;
pub mod machine;
