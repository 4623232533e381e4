//! What a dump in a guest is called.

use crate::random_name::random_name;

random_name! {
    /// One dump: its folder in the guest's memory is called so, and whoever knows the name can end it when its coordinator is dead.
    /// `stillpoint-dump.` and 32 random hexadecimal digits.
    DumpName, "stillpoint-dump.", "a dump"
}
