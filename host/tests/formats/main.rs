//! What the program writes for others is a contract: it reads what it wrote, also what it wrote long ago, and the schemas
//! in `docs/schema` describe it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod documents;
mod files;
mod image;
mod json;
mod manual;
mod record;
mod run_logs;
mod schema;
