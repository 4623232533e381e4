//! Which transactions are in a log and in those before it, by their names.

use std::collections::BTreeMap;
use std::fmt;

use uuid::Uuid;

use super::gtid_set::{GtidSet, MySqlGtid, Source};

/// Domains that are kept: a server has one for each source of a multi-source replica.
const MAX_DOMAINS: usize = 1 << 16;

/// The GTID state at a place of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Gtids {
    /// The log says nothing of GTIDs: its server has none, or has them switched off.
    #[default]
    None,
    /// The log speaks of them in a way that is not understood here, or of more than are kept.
    Unknown,
    /// Of each domain the last transaction, as `@@gtid_binlog_pos` has it.
    MariaDb(BTreeMap<u32, MariaDbGtid>),
    /// MySQL's.
    MySql {
        /// The last transaction in this file that has a GTID.
        last: Option<MySqlGtid>,
        /// All in the files before this one and in this one; `None` where they are not understood here, or too many.
        logged: Option<GtidSet>,
    },
}

/// The name of a transaction in its domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MariaDbGtid {
    /// The server that gave it.
    pub server_id: u32,
    /// `seq_no`.
    pub sequence: u64,
}

impl Gtids {
    /// Whether it is what MariaDB's `@@gtid_binlog_pos` says in `text`; the order of domains does not matter. Never of MySQL's.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        let Some(told) = positions(text) else { return false };
        matches!(self, Self::MariaDb(domains) if *domains == told) || (told.is_empty() && *self == Self::None)
    }

    /// Whether MySQL's last transaction is in `executed_set`, as `@@gtid_executed` has it. `None` where there is no last one,
    /// where it is not known, and where `executed_set` is no set.
    #[must_use]
    pub fn last_is_in(&self, executed_set: &str) -> Option<bool> {
        let Self::MySql { last: Some(last), .. } = self else { return None };
        Some(GtidSet::parse(executed_set)?.contains(last))
    }

    /// Whether all that a server had in `told` is in it: MariaDB's `@@gtid_binlog_pos`; of MySQL's `@@gtid_executed` what the server `own`
    /// did itself, as its binlog need not have what others did. `None` where it is not known, and where `told` is none of that.
    #[must_use]
    pub fn reaches(&self, told: &str, own: Option<Uuid>) -> Option<bool> {
        match self {
            Self::None => Some(told.is_empty()),
            Self::Unknown => None,
            Self::MariaDb(domains) => {
                let reached = |(domain, told): (&u32, &MariaDbGtid)| {
                    domains.get(domain).is_some_and(|here| here.sequence >= told.sequence)
                };
                Some(positions(told)?.iter().all(reached))
            }
            Self::MySql { logged, .. } => Some(logged.as_ref()?.includes(&GtidSet::parse(told)?, own)),
        }
    }

    /// Sets the last transaction of a domain.
    pub(super) fn add_mariadb(&mut self, domain: u32, gtid: MariaDbGtid) {
        if matches!(self, Self::None) {
            *self = Self::MariaDb(BTreeMap::new());
        }
        let Self::MariaDb(domains) = self else { return *self = Self::Unknown };
        domains.insert(domain, gtid);
        if domains.len() > MAX_DOMAINS {
            *self = Self::Unknown;
        }
    }

    /// Adds a transaction; one that is not understood leaves nothing known.
    pub(super) fn add_mysql(&mut self, gtid: Option<MySqlGtid>) {
        if matches!(self, Self::None) {
            // Without the list of those before: only a log whose beginning is lost has none.
            *self = Self::MySql { last: None, logged: None };
        }
        let Self::MySql { last, logged } = self else { return *self = Self::Unknown };
        let (source, number) = match &gtid {
            Some(MySqlGtid { source, number }) => (source, *number),
            None => return *self = Self::Unknown,
        };
        let is_added = |set: &mut GtidSet, source: &Source| set.insert(source, number, number.saturating_add(1));
        if !logged.as_mut().is_some_and(|set| is_added(set, source)) {
            *logged = None;
        }
        *last = gtid;
    }
}

/// What MariaDB prints of its positions, each domain once.
fn positions(text: &str) -> Option<BTreeMap<u32, MariaDbGtid>> {
    let mut told = BTreeMap::new();
    for gtid in text.split(',').map(str::trim).filter(|gtid| !gtid.is_empty()) {
        let mut numbers = gtid.splitn(3, '-').map(|number| number.parse::<u64>().ok());
        let [domain, server_id, sequence] = [(); 3].map(|()| numbers.next().flatten());
        let (domain, server_id) = (u32::try_from(domain?).ok()?, u32::try_from(server_id?).ok()?);
        told.insert(domain, MariaDbGtid { server_id, sequence: sequence? }).is_none().then_some(())?;
    }
    Some(told)
}

impl fmt::Display for Gtids {
    /// As the server has it; nothing where there is nothing to say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Unknown => f.write_str("unknown"),
            Self::MariaDb(domains) => {
                for (index, (domain, gtid)) in domains.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "," };
                    write!(f, "{separator}{domain}-{}-{}", gtid.server_id, gtid.sequence)?;
                }
                Ok(())
            }
            Self::MySql { logged: Some(logged), .. } => logged.fmt(f),
            Self::MySql { last: Some(last), logged: None } => write!(f, "… {last}"),
            Self::MySql { last: None, logged: None } => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mariadb(gtids: &[(u32, u32, u64)]) -> Gtids {
        let mut state = Gtids::None;
        for &(domain, server_id, sequence) in gtids {
            state.add_mariadb(domain, MariaDbGtid { server_id, sequence });
        }
        state
    }

    #[test]
    fn the_order_of_domains_does_not_matter() {
        let state = mariadb(&[(0, 1, 7), (5, 2, 9)]);
        assert!(state.is("5-2-9, 0-1-7") && state.is("0-1-7,5-2-9"));
        assert_eq!(state.to_string(), "0-1-7,5-2-9");
    }

    #[test]
    fn another_number_server_or_domain_is_another_state() {
        let state = mariadb(&[(0, 1, 7)]);
        for text in
            ["", "0-1-8", "0-2-7", "1-1-7", "0-1-7,1-1-1", "0-1-7,0-1-7", "0-1", "x", "0-1-7-1", "0-4294967297-7"]
        {
            assert!(!state.is(text), "{text}");
        }
    }

    #[test]
    fn no_gtids_are_an_empty_text() {
        assert!(Gtids::None.is("") && !Gtids::None.is("0-1-1") && !Gtids::Unknown.is(""));
    }

    #[test]
    fn a_transaction_behind_those_of_another_product_leaves_nothing_known() {
        let mut state = mariadb(&[(0, 1, 7)]);
        state.add_mysql(None);
        assert_eq!(state, Gtids::Unknown);
    }

    #[test]
    fn a_log_reaches_what_is_in_it_and_nothing_behind() {
        let state = mariadb(&[(0, 1, 7), (5, 2, 9)]);
        for (told, reached) in [("", true), ("0-1-7", true), ("0-1-6,5-2-9", true), ("0-1-8", false), ("1-1-1", false)]
        {
            assert_eq!(state.reaches(told, None), Some(reached), "{told}");
        }
        assert_eq!((state.reaches("x", None), Gtids::Unknown.reaches("", None)), (None, None));
        assert_eq!((Gtids::None.reaches("", None), Gtids::None.reaches("0-1-1", None)), (Some(true), Some(false)));
    }

    #[test]
    fn the_last_transaction_is_looked_up_in_a_set() {
        const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let source = Source::new(uuid::Uuid::parse_str(A).unwrap(), b"").unwrap();
        let mut state = Gtids::MySql { last: None, logged: Some(GtidSet::default()) };
        assert_eq!(state.last_is_in(&format!("{A}:1-9")), None);
        state.add_mysql(Some(MySqlGtid { source, number: 4 }));
        assert_eq!(state.last_is_in(&format!("{A}:1-9")), Some(true));
        assert_eq!(state.last_is_in(&format!("{A}:1-3")), Some(false));
        assert_eq!(state.last_is_in("no set"), None);
        assert_eq!(mariadb(&[(0, 1, 7)]).last_is_in(&format!("{A}:1-9")), None);
    }
}
