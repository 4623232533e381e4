//! Whose a session in the guest is.

use crate::random_name::random_name;

random_name! {
    /// One coordinator, as its sessions in the guest are named after it: whoever knows the name can end them when it is dead. 32 random
    /// hexadecimal digits.
    Owner, "", "an owner of sessions"
}
