//! Backs up a database VM while it works, and proves what it backed up.
