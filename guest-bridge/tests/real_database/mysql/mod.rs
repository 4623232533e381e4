//! What MySQL alone has, or says in its own words. Not run but where `STILLPOINT_SERVER` names one.

mod dump;
mod lock;
mod replication;
