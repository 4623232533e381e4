//! The dump: what the guest's own client makes of its database, carried out to the host while it is made. Nothing of it is stored in the
//! guest, and neither a network nor a login is needed.
//!
//! [`survey`] looks for what a dump would meet, [`DumpPlan`] says with which arguments the client is started and what will be lost,
//! [`DumpStream`] carries its output out, through the agent alone or a [`port`], [`begin`] starts it at coordinates that are known, and [`verdict`] says
//! whether what came is whole. Specified in the manuals of
//! [mysqldump](https://dev.mysql.com/doc/refman/8.4/en/mysqldump.html) and
//! [mariadb-dump](https://mariadb.com/docs/server/clients-and-utilities/backup-restore-and-import-clients/mariadb-dump).

mod begun;
mod coordinates;
mod ended;
mod error;
mod from_port;
mod login;
mod loss;
mod name;
mod not_whole;
mod options;
pub mod port;
mod refusal;
mod stream;
mod survey;
mod terms;
#[cfg(test)]
mod tests;
mod verdict;
mod wanted;
mod way;

pub use begun::{Begun, Hold, begin};
pub use coordinates::written_coordinates;
pub use ended::Ended;
pub use error::DumpError;
pub use login::Login;
pub use loss::Loss;
pub use name::DumpName;
pub use not_whole::NotWhole;
pub use options::{CoordinatesFrom, DumpPlan};
pub use refusal::Refusal;
pub use stream::{Client, DumpStream};
pub use survey::{BrokenView, DumpSurvey, survey};
pub use terms::DumpTerms;
pub use verdict::verdict;
pub use wanted::{TableName, Wanted};
pub use way::end;
