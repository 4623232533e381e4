//! Faults that the program does not have. `counterexamples.rs` puts each into the model, to see that the search finds what comes of it.

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A recovery gives back all but the freeze.
    RecoverForgetsTheFreeze,
    /// The thaw loop is sure at the first status that says so.
    FirstStatusIsBelieved,
    /// A call takes a reply that is left from the one before it for its own.
    NoResync,
    /// A recovery does so, and the coordinator does not.
    RecoverBeforeTheResync,
    /// The guest forgets a token when it is disarmed.
    WatchdogWithoutToken,
    /// The tables are unlocked before the thaw.
    UnlockBeforeThaw,
    /// What the agent counted at the thaw weakens nothing.
    CountsAreIgnored,
    /// The session is not asked whether it still holds the lock.
    LockIsNotAskedFor,
    /// The intent to freeze is written after the freeze.
    IntentAfterTheFreeze,
    /// The log says that the guest is thawed before it is.
    OutcomeBeforeTheThaw,
    /// A recovery removes a COW volume, and forgets it, where its origin may still be suspended.
    OriginsAreForgotten,
}
