//! Others that the server has to do with: a Galera cluster, a source that it replicates from.

use guest_bridge::database::server::Server;

use super::finding::{Check, Finding, Weight};
use super::seen::{Answer, Seen};

/// What a Galera node says that takes part in its cluster.
const SYNCED: &str = "Synced";

pub fn check(seen: &Seen) -> Vec<Finding> {
    seen.survey.server.as_ref().map(|server| of(server, &seen.galera)).unwrap_or_default()
}

fn of(server: &Server, galera: &Answer<Option<String>>) -> Vec<Finding> {
    let mut found = Vec::new();
    if server.galera {
        found.push(match galera {
            Ok(Some(state)) if state == SYNCED => {
                Finding::note(Check::Cluster, "the database is a Galera node, and synced")
                    .because("while it is locked it takes no part in its cluster (desync), and catches up after it")
            }
            Ok(state) => {
                let state = state.as_deref().unwrap_or("nothing").escape_default().to_string();
                Finding::note(Check::Cluster, format!("the database is a Galera node, and says of itself: {state}"))
                    .because("what an image of it holds is as old as its lag")
                    .remedy("back up a node that is Synced")
            }
            Err(why) => Finding::unseen(Check::Cluster, Weight::Note, format!("the state of the Galera node: {why}")),
        });
    }
    match &server.replicates {
        Some(replicates) => found.extend(replicates.channels.iter().map(|channel| {
            let name = if channel.name.is_empty() {
                String::new()
            } else {
                format!(" (channel {})", channel.name.escape_default())
            };
            Finding::note(
                Check::Cluster,
                format!("the database replicates from {}{name}", channel.source.escape_default()),
            )
            .because("the receipt has how far it was, under `replicates`; its own coordinates are of its own binlog")
        })),
        None => found.push(Finding::unseen(
            Check::Cluster,
            Weight::Note,
            "whether it is a replica: the account may not see it",
        )),
    }
    if found.is_empty() {
        found.push(Finding::fine(Check::Cluster, "it is no node of a cluster and no replica"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::tests::mariadb;

    #[test]
    fn a_node_that_lags_is_told_from_one_that_is_synced() {
        let node = Server { galera: true, ..mariadb() };
        let what = |state: &str| of(&node, &Ok(Some(state.to_owned())))[0].what.clone();
        assert_eq!(what("Synced"), "the database is a Galera node, and synced");
        assert!(what("Donor/Desynced").ends_with("says of itself: Donor/Desynced"));
    }

    #[test]
    fn whether_it_is_a_replica_is_not_known_where_the_account_may_not_see_it() {
        let found = of(&Server { replicates: None, ..mariadb() }, &Ok(None));
        assert!(found.len() == 1 && !found[0].looked_at, "{found:?}");
        assert_eq!(of(&mariadb(), &Ok(None))[0].weight, Weight::Fine);
    }
}
