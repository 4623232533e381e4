//! What the script says in a guest that lives in memory.

use std::{collections::BTreeMap, fmt::Write};

use super::{Disarmed, script::SCRIPT};
use crate::agent::{Exit, Finished, Program};

/// The watchdogs of a simulated guest, by their tokens. They wait until they are told to act.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimulatedWatchdogs(BTreeMap<String, Watchdog>);

#[derive(Clone, Copy, Debug)]
enum Watchdog {
    Armed { has_thawed: bool },
    Off(Disarmed),
}

impl SimulatedWatchdogs {
    /// The tokens of those that are armed and not disarmed, whether they have acted or not.
    pub(crate) fn armed(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(|(_, watchdog)| matches!(watchdog, Watchdog::Armed { .. }))
            .map(|(token, _)| token.as_str())
    }

    /// All that are armed thaw. Whether there is one.
    pub(crate) fn act(&mut self) -> bool {
        let mut any = false;
        for watchdog in self.0.values_mut() {
            if let Watchdog::Armed { has_thawed } = watchdog {
                *has_thawed = true;
                any = true;
            }
        }
        any
    }

    /// What the script is asked, without the folders in memory; `None` where `program` is another.
    pub(crate) fn question(program: &Program) -> Option<Vec<String>> {
        match program.args.as_slice() {
            [_, script, _, verb, _, words @ ..] if script == SCRIPT => {
                Some([std::slice::from_ref(verb), words].concat())
            }
            _ => None,
        }
    }

    /// What the script says; `None` where `program` is another.
    pub(crate) fn answer(&mut self, program: &Program, mountpoints: &[String]) -> Option<Finished> {
        let question = Self::question(program)?;
        if question.first().is_some_and(|verb| verb == "probe") {
            return Some(finished(0, "place /run\nfsfreeze /usr/sbin/fsfreeze\nend\n".to_owned()));
        }
        let token = question.get(1)?.clone();
        let said = match question[0].as_str() {
            "arm" => self.arm(token, question.get(3..)?, mountpoints),
            _ => Some(self.disarm(token)),
        };
        let (code, stdout) = said.map_or((8, String::new()), |said| (0, format!("{said}end\n")));
        Some(finished(code, stdout))
    }

    fn arm(&mut self, token: String, wanted: &[String], mountpoints: &[String]) -> Option<String> {
        if self.0.contains_key(&token) {
            return None;
        }
        let mut said = format!("directory /run/{token}\nfsfreeze /usr/sbin/fsfreeze\nprograms memory\n");
        for (number, point) in wanted.iter().enumerate() {
            match mountpoints.contains(point) {
                true => writeln!(said, "ok {number}").ok()?,
                false => writeln!(said, "no {number} no such folder").ok()?,
            }
        }
        self.0.insert(token, Watchdog::Armed { has_thawed: false });
        Some(said)
    }

    fn disarm(&mut self, token: String) -> String {
        let verdict = match self.0.get(&token) {
            None => Disarmed::NotThere,
            Some(Watchdog::Armed { has_thawed: false }) => Disarmed::InTime,
            Some(Watchdog::Armed { has_thawed: true }) => Disarmed::HasThawed,
            Some(Watchdog::Off(verdict)) => *verdict,
        };
        self.0.insert(token, Watchdog::Off(verdict));
        match verdict {
            Disarmed::InTime => "in-time\n",
            Disarmed::HasThawed => "has-thawed\n",
            Disarmed::NotThere => "not-there\n",
        }
        .to_owned()
    }
}

fn finished(code: i64, stdout: String) -> Finished {
    Finished { exit: Exit::Code(code), stdout: stdout.into_bytes(), stderr: Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        agent::{AgentError, Fault, FreezeScope, SimulatedGuest, freeze, thaw_until_sure},
        call_log::CallLog,
        watchdog::{Token, WatchdogError, arm, disarm},
    };

    const AFTER: Duration = Duration::from_secs(30);
    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_watchdog_of_a_simulated_guest_waits_until_it_is_disarmed() {
        let log = CallLog::new();
        let mut guest = SimulatedGuest::new(log.clone(), ["/", "/srv"]);
        let token = Token::new();
        let armed = arm(&mut guest, &token, &["/".into(), "/gone".into()], AFTER, SOON).await.unwrap();
        assert_eq!((armed.thaws, armed.cannot_thaw[0].mountpoint.as_str()), (vec!["/".to_owned()], "/gone"));
        assert_eq!(guest.watchdogs(), [token.to_string()]);
        assert_eq!(log.entries()[0], format!("agent: guest-exec watchdog arm {token} 30 / /gone"));

        freeze(&mut guest, &FreezeScope::All, SOON).await.unwrap();
        let refused = disarm(&mut guest, &token, SOON).await;
        assert!(matches!(refused, Err(WatchdogError::Agent(AgentError::Frozen { .. }))), "{refused:?}");
        thaw_until_sure(&mut guest, SOON, &mut || false).await.unwrap();
        assert_eq!(disarm(&mut guest, &token, SOON).await.unwrap(), Disarmed::InTime);
        assert_eq!(guest.watchdogs(), [""; 0]);
        assert_eq!(disarm(&mut guest, &token, SOON).await.unwrap(), Disarmed::InTime, "it is asked again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_watchdog_of_a_simulated_guest_thaws_behind_the_agent_when_it_is_told() {
        let mut guest = SimulatedGuest::new(CallLog::new(), ["/"]);
        let token = Token::new();
        guest.watchdog_acts();
        arm(&mut guest, &token, &["/".into()], AFTER, SOON).await.unwrap();
        freeze(&mut guest, &FreezeScope::All, SOON).await.unwrap();
        guest.watchdog_acts();
        assert!(!guest.is_frozen());
        assert_eq!(thaw_until_sure(&mut guest, SOON, &mut || false).await.unwrap().count, Some(0));
        assert_eq!(disarm(&mut guest, &token, SOON).await.unwrap(), Disarmed::HasThawed);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_watchdog_nothing_acts_in_a_simulated_guest() {
        let mut guest = SimulatedGuest::new(CallLog::new(), ["/"]);
        freeze(&mut guest, &FreezeScope::All, SOON).await.unwrap();
        guest.watchdog_acts();
        assert!(guest.is_frozen());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_disarmed_is_not_armed_by_a_request_that_comes_late() {
        let mut guest = SimulatedGuest::new(CallLog::new(), ["/"]).fails_at("guest-exec", Fault::DoneLater);
        let token = Token::new();
        arm(&mut guest, &token, &["/".into()], AFTER, SOON).await.unwrap_err();
        assert_eq!(disarm(&mut guest, &token, SOON).await.unwrap(), Disarmed::NotThere);
        assert_eq!(guest.watchdogs(), [""; 0]);
        let again = arm(&mut guest, &token, &["/".into()], AFTER, SOON).await;
        assert!(matches!(again, Err(WatchdogError::UsedUp)), "{again:?}");
    }
}
