//! The scenarios that need a real hypervisor, real LVM and a real guest. `./test` runs them inside the lab.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod the_lab;
