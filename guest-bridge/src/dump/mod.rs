//! The dump: what the guest's own client makes of its database.

mod loss;
mod options;
mod refusal;
mod survey;
mod wanted;

pub use loss::Loss;
pub use options::{CoordinatesFrom, DumpPlan};
pub use refusal::Refusal;
pub use survey::{BrokenView, DumpSurvey, survey};
pub use wanted::{TableName, Wanted};
