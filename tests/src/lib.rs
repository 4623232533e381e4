//! Integration tests and the lab.
