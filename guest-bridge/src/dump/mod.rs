//! The dump: what the guest's own client makes of its database.

mod coordinates;
mod ended;
mod error;
mod login;
mod loss;
mod name;
mod options;
mod refusal;
mod stream;
mod survey;
mod terms;
#[cfg(test)]
mod tests;
mod verdict;
mod wanted;
mod way;

pub use coordinates::written_coordinates;
pub use ended::Ended;
pub use error::DumpError;
pub use login::Login;
pub use loss::Loss;
pub use name::DumpName;
pub use options::{CoordinatesFrom, DumpPlan};
pub use refusal::Refusal;
pub use stream::{Client, DumpStream};
pub use survey::{BrokenView, DumpSurvey, survey};
pub use terms::DumpTerms;
pub use verdict::{NotWhole, verdict};
pub use wanted::{TableName, Wanted};
pub use way::end;
