//! The job: what the command line and the configuration ask for together, validated, nothing looked at yet.

use std::fmt;
use std::path::{Path, PathBuf};

use guest_bridge::agent::Endpoint;
use guest_bridge::database::net::{Address, TlsWish};
use lvm::LvName;

use crate::ask::asked::flag;
use crate::ask::config::{Config, VmConfig};
use crate::ask::database::{DatabaseRoute, Via};
use crate::ask::policy::{Policy, Stated, Tables};
use crate::ask::setting::{Given, Setting};
use crate::failure::Cause;

pub use crate::ask::asked::Asked;

/// A backup that is asked for.
#[derive(Clone, Debug)]
pub struct Job {
    /// The VM's name: the configuration's, or the first disk's where flags alone describe it.
    pub vm: String,
    /// Whether that name was given: a first disk's may be that of several VMs.
    pub is_named: bool,
    /// Its disks, in the order in which they are attached.
    pub disks: Setting<Vec<LvName>>,
    /// Mountpoints of the guest whose disks are left out on purpose.
    pub ignore_mounts: Setting<Vec<String>>,
    /// The guest agent; `None` where there is none.
    pub agent: Setting<Option<Endpoint>>,
    /// Whether the guest is frozen. There is an agent then.
    pub freeze: Setting<bool>,
    /// How to reach the database; `None` where there is none.
    pub database: Setting<Option<DatabaseRoute>>,
    /// Where artifacts go; `None` where nobody has said.
    pub target: Setting<Option<Target>>,
    /// How to do it.
    pub policy: Policy,
    /// Where run logs live.
    pub state_dir: Setting<PathBuf>,
}

/// Where artifacts go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Into this folder.
    Folder(PathBuf),
    /// To standard output.
    Stdout,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Stdout => f.write_str("-"),
        }
    }
}

const DEFAULT_STATE_DIR: &str = "/var/lib/stillpoint";

impl Job {
    /// Puts the two together.
    ///
    /// # Errors
    /// Where something needed is missing, malformed or contradictory; nothing has been touched then.
    pub fn new(asked: Asked, config: &Config) -> Result<Self, Cause> {
        let vm = vm_config(asked.vm.as_deref(), config)?;
        let disks = disks(&asked, vm)?;
        let ignore_mounts = ignore_mounts(&asked, vm)?;
        let agent = agent(&asked, vm)?;
        let freeze =
            Setting::pick(asked.no_freeze.then_some(("--no-freeze", false)), None, None, || Setting::built_in(true));
        if freeze.value && agent.value.is_none() {
            return Err(Cause::usage(
                "no guest agent is configured, so the guest cannot be frozen",
                "give --agent unix:PATH, or --no-freeze for a copy that needs a journal replay",
            ));
        }
        let database = database(&asked, vm)?;
        let is_through_agent = |route: &DatabaseRoute| matches!(route.via, Via::Agent { .. });
        if agent.value.is_none() && database.value.as_ref().is_some_and(is_through_agent) {
            return Err(Cause::usage(
                format!(
                    "{}: the database is to be reached through the agent, and no agent is configured",
                    database.from.place("database", "via")
                ),
                "give --agent unix:PATH",
            ));
        }
        let tables = Tables { vm: vm.map(|(name, vm)| (name, &vm.policy)), defaults: &config.defaults };
        let policy = Policy::new(&asked, tables, database.value.is_some())?;
        let target = target(&asked, vm, config)?;
        let state_dir = state_dir(asked.state_dir, config);
        let first_disk = disks.value.first().map(|disk| disk.lv().to_owned()).unwrap_or_default();
        Ok(Self {
            is_named: asked.vm.is_some(),
            vm: asked.vm.unwrap_or(first_disk),
            disks,
            ignore_mounts,
            agent,
            freeze,
            database,
            target,
            policy,
            state_dir,
        })
    }

    /// The agent to freeze through; `None` where the freeze was declined.
    #[must_use]
    pub fn freeze_through(&self) -> Option<&Endpoint> {
        self.agent.value.as_ref().filter(|_| self.freeze.value)
    }

    /// Every choice and setting in words, with who made it.
    #[must_use]
    pub fn stated(&self) -> Vec<Stated> {
        let stated = |key, value: String, from: &Given| Stated { key, value, from: from.clone() };
        let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        let disks = self.disks.value.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let ignored = (!self.ignore_mounts.value.is_empty()).then(|| self.ignore_mounts.value.join(", "));
        let agent = self.agent.value.as_ref().map(ToString::to_string);
        let database = self.database.value.as_ref().map(|route| route.via.to_string());
        let target = self.target.value.as_ref().map(ToString::to_string);
        let mut all = vec![
            stated("disks", disks, &self.disks.from),
            stated("ignore_mounts", or_none(ignored), &self.ignore_mounts.from),
            stated("agent", or_none(agent), &self.agent.from),
            stated("freeze", if self.freeze.value { "yes" } else { "no" }.to_owned(), &self.freeze.from),
            stated("database", or_none(database), &self.database.from),
            stated("target", or_none(target), &self.target.from),
            stated("state_dir", self.state_dir.value.display().to_string(), &self.state_dir.from),
        ];
        all.extend(self.policy.stated());
        all
    }

    /// Where artifacts go.
    ///
    /// # Errors
    /// Where nobody has said: a plan can do without it, and a backup cannot.
    pub fn target(&self) -> Result<&Target, Cause> {
        self.target.value.as_ref().ok_or_else(|| {
            Cause::usage(
                "no target is named",
                "give --to FOLDER, or --to - for standard output, or a `target` in the configuration",
            )
        })
    }
}

/// Where run logs live.
#[must_use]
pub fn state_dir(asked: Option<PathBuf>, config: &Config) -> Setting<PathBuf> {
    Setting::pick(flag("--state-dir", asked), None, None, || match &config.state_dir {
        Some(folder) => Setting { value: folder.clone(), from: Given::TopLevel },
        None => Setting::built_in(DEFAULT_STATE_DIR.into()),
    })
}

/// The table of the VM that is asked for, with its name; `None` where flags alone describe it.
type Vm<'c> = Option<(&'c str, &'c VmConfig)>;

fn vm_config<'c>(name: Option<&'c str>, config: &'c Config) -> Result<Vm<'c>, Cause> {
    let Some(name) = name else { return Ok(None) };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Cause::usage(
            format!("`{}` cannot name a VM: it becomes a part of file names", name.escape_default()),
            "use up to 64 letters, digits, dots, dashes and underscores",
        ));
    }
    match config.vm.get(name) {
        Some(vm) => Ok(Some((name, vm))),
        None if config.vm.is_empty() => Ok(None),
        None => {
            let known: Vec<&str> = config.vm.keys().map(String::as_str).collect();
            Err(Cause::usage(
                format!("the configuration has no VM `{name}`; it has {}", known.join(", ")),
                "name one of these, or describe the VM with --disk and --agent",
            ))
        }
    }
}

/// What the VM's own table says, with its name.
fn of<'c, T>(vm: Vm<'c>, key: impl FnOnce(&'c VmConfig) -> Option<T>) -> Option<(&'c str, T)> {
    vm.and_then(|(name, vm)| Some((name, key(vm)?)))
}

fn disks(asked: &Asked, vm: Vm<'_>) -> Result<Setting<Vec<LvName>>, Cause> {
    let named = |disks: &Vec<String>| (!disks.is_empty()).then(|| disks.clone());
    let disks = Setting::pick(flag("--disk", named(&asked.disks)), of(vm, |vm| named(&vm.disks)), None, || {
        Setting::built_in(Vec::new())
    });
    if disks.value.is_empty() {
        let what = asked.vm.as_ref().map_or("no disk is named".to_owned(), |vm| format!("no disk of {vm} is named"));
        let hint =
            "give --disk VG/LV for each disk, or describe the VM in the configuration (/etc/stillpoint.toml, --config)";
        return Err(Cause::usage(what, hint));
    }
    disks.read(("", "disks"), "a disk is a logical volume, VG/LV, and is named once", |names| {
        let mut disks: Vec<LvName> = Vec::new();
        for text in names {
            let name: LvName = text.parse().map_err(|error: lvm::NameError| error.to_string())?;
            if disks.contains(&name) {
                return Err(format!("disk {name} is named twice"));
            }
            disks.push(name);
        }
        Ok(disks)
    })
}

fn ignore_mounts(asked: &Asked, vm: Vm<'_>) -> Result<Setting<Vec<String>>, Cause> {
    let named = (!asked.ignore_mounts.is_empty()).then(|| asked.ignore_mounts.clone());
    let configured = of(vm, |vm| vm.ignore_mounts.clone());
    let mounts = Setting::pick(flag("--ignore-mount", named), configured, None, || Setting::built_in(Vec::new()));
    mounts.read(("", "ignore_mounts"), "name where the guest has it mounted, as in /mnt/scratch", |mounts| match mounts
        .iter()
        .find(|mount| !mount.starts_with('/'))
    {
        Some(mount) => Err(format!("`{}` is no mountpoint: it does not begin with a slash", mount.escape_default())),
        None => Ok(mounts),
    })
}

fn agent(asked: &Asked, vm: Vm<'_>) -> Result<Setting<Option<Endpoint>>, Cause> {
    let flag = flag("--agent", asked.agent.as_deref().map(Some));
    let agent = Setting::pick(flag, of(vm, |vm| vm.agent.as_deref().map(Some)), None, || Setting::built_in(None));
    let hint = "Proxmox has it at unix:/var/run/qemu-server/ID.qga; for libvirt, `virsh dumpxml` names its socket";
    agent.read(("", "agent"), hint, |text| text.map(str::parse::<Endpoint>).transpose())
}

fn database(asked: &Asked, vm: Vm<'_>) -> Result<Setting<Option<DatabaseRoute>>, Cause> {
    let via = Setting::pick(
        flag("--db", asked.database.as_deref()),
        of(vm, |vm| Some(&*vm.database.as_ref()?.via)),
        None,
        || Setting::built_in("none"),
    );
    let file = Setting::pick(
        flag("--db-credentials", asked.credentials.clone().map(Some)),
        of(vm, |vm| vm.database.as_ref()?.credentials.clone().map(Some)),
        None,
        || Setting::built_in(None),
    );
    let credentials = file.value.map(|value| Setting { value, from: file.from });
    let (wish, ca) = tls(asked, vm)?;
    // What the configuration says of its own way is nothing to one of the command line.
    let is_said = match via.from {
        Given::Flag(_) => asked.tls.is_some() || asked.tls_ca.is_some(),
        _ => wish.value.is_some() || ca.is_some(),
    };
    let tls = wish.value.unwrap_or(if ca.is_some() { TlsWish::Required } else { TlsWish::Preferred });
    if ca.is_some() && tls != TlsWish::Required {
        let place = wish.from.place("database", "tls");
        let what = format!("{place} is {tls}, and certificates are named that the server's has to be signed by");
        return Err(Cause::usage(what, "with them TLS is required: leave it out, or leave them out"));
    }
    let route = via.read(("database", "via"), Via::FORMS, |text| {
        Via::read(text).map(|via| via.map(|via| DatabaseRoute { via, credentials, tls, tls_ca: ca }))
    })?;
    match &route.value {
        Some(DatabaseRoute { via: via @ (Via::Agent { .. } | Via::Net(Address::Unix(_))), .. }) if is_said => {
            Err(Cause::usage(
                format!("the way to the database is {via}, and TLS is for tcp: only"),
                "leave --db-tls and --db-ca out, or `tls` and `tls_ca`",
            ))
        }
        _ => Ok(route),
    }
}

/// Whether TLS is wanted, and with whose certificates.
fn tls(asked: &Asked, vm: Vm<'_>) -> Result<(Setting<Option<TlsWish>>, Option<PathBuf>), Cause> {
    let wish = Setting::pick(
        flag("--db-tls", asked.tls.map(|wish| Ok(Some(wish)))),
        of(vm, |vm| vm.database.as_ref()?.tls.as_deref().map(|text| text.parse().map(Some))),
        None,
        || Setting::built_in(Ok(None)),
    );
    let wish = wish.read(("database", "tls"), "it is off, preferred or required", |wish: Result<_, String>| wish)?;
    let ca = asked.tls_ca.clone().or_else(|| of(vm, |vm| vm.database.as_ref()?.tls_ca.clone()).map(|(_, ca)| ca));
    Ok((wish, ca))
}

fn target(asked: &Asked, vm: Vm<'_>, config: &Config) -> Result<Setting<Option<Target>>, Cause> {
    let flagged = |to: &PathBuf| if to == Path::new("-") { Target::Stdout } else { Target::Folder(to.clone()) };
    let configured = |folder: &PathBuf| match folder.as_path() {
        stdout if stdout == Path::new("-") => Err("no target of a configuration is standard output"),
        folder => Ok(Some(Target::Folder(folder.to_owned()))),
    };
    let target = Setting::pick(
        flag("--to", asked.to.as_ref().map(|to| Ok(Some(flagged(to))))),
        of(vm, |vm| vm.target.as_ref().map(configured)),
        config.defaults.target.as_ref().map(configured),
        || Setting::built_in(Ok(None)),
    );
    target.read(("", "target"), "name a folder; `--to -` writes to standard output", |target| target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grade::Grade;

    fn asked() -> Asked {
        Asked { disks: vec!["vg/db".into()], agent: Some("unix:/run/qga".into()), ..Asked::default() }
    }

    fn refusal(asked: Asked, config: &str) -> String {
        Job::new(asked, &toml::from_str(config).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn flags_alone_describe_a_job_named_after_its_first_disk() {
        let job = Job::new(asked(), &Config::default()).unwrap();
        assert_eq!(job.vm, "db");
        assert_eq!(job.policy.require.value, Grade::Filesystem);
    }

    #[test]
    fn a_configured_database_requires_the_application_grade() {
        let job = Job::new(Asked { database: Some("agent".into()), ..asked() }, &Config::default()).unwrap();
        assert_eq!(job.policy.require.value, Grade::Application);
    }

    #[test]
    fn tls_is_preferred_and_required_where_a_ca_is_named() {
        let tls = |database: &str, asked: Asked| {
            let config = format!("[vm.db1]\nagent = \"unix:/a\"\ndisks = [\"vg/a\"]\n[vm.db1.database]\n{database}\n");
            let job = Job::new(Asked { vm: Some("db1".into()), ..asked }, &toml::from_str(&config).unwrap())?;
            let DatabaseRoute { tls, tls_ca, .. } = job.database.value.unwrap();
            Ok::<_, Cause>((tls, tls_ca))
        };
        let tcp = "via = \"tcp:db1:3306\"";
        assert_eq!(tls(tcp, Asked::default()).unwrap(), (TlsWish::Preferred, None));
        let with_ca = (TlsWish::Required, Some("/ca.pem".into()));
        assert_eq!(tls(&format!("{tcp}\ntls_ca = \"/ca.pem\""), Asked::default()).unwrap(), with_ca);
        let off = Asked { tls: Some(TlsWish::Off), ..Asked::default() };
        assert_eq!(tls(&format!("{tcp}\ntls = \"required\""), off.clone()).unwrap().0, TlsWish::Off);
        for (database, asked, word) in [
            (format!("{tcp}\ntls_ca = \"/ca.pem\""), off.clone(), "--db-tls is off"),
            (format!("{tcp}\ntls = \"on\""), Asked::default(), "`tls` in [vm.db1.database]: `on` says nothing of TLS"),
            ("via = \"agent\"".to_owned(), off, "TLS is for tcp: only"),
            ("via = \"unix:/run/s\"\ntls = \"required\"".to_owned(), Asked::default(), "TLS is for tcp: only"),
        ] {
            let error = tls(&database, asked).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        let flagged = Asked { database: Some("agent".into()), ..Asked::default() };
        tls(&format!("{tcp}\ntls = \"required\""), flagged).unwrap();
    }

    #[test]
    fn a_flag_overrides_the_configuration() {
        let config = toml::from_str("[vm.db1]\nagent = \"unix:/a\"\ndisks = [\"vg/a\"]\n").unwrap();
        let job = Job::new(Asked { vm: Some("db1".into()), disks: vec!["vg/b".into()], ..Asked::default() }, &config);
        assert_eq!(job.unwrap().disks.value[0].lv(), "b");
    }

    #[test]
    fn an_unknown_vm_is_refused_with_those_there_are() {
        let error = refusal(Asked { vm: Some("db2".into()), ..Asked::default() }, "[vm.db1]\n");
        assert!(error.contains("db1"), "{error}");
    }

    #[test]
    fn a_vm_name_that_would_leave_the_target_folder_is_refused() {
        let error = refusal(Asked { vm: Some("../etc".into()), ..asked() }, "");
        assert!(error.contains("cannot name a VM"), "{error}");
    }

    #[test]
    fn without_an_agent_the_freeze_has_to_be_declined_in_words() {
        let no_agent = Asked { agent: None, ..asked() };
        assert!(refusal(no_agent.clone(), "").contains("no guest agent"));
        assert!(
            Job::new(Asked { no_freeze: true, ..no_agent }, &Config::default()).unwrap().freeze_through().is_none()
        );
    }

    #[test]
    fn a_disk_named_twice_is_refused() {
        let twice = Asked { disks: vec!["vg/db".into(), "/dev/vg/db".into()], ..asked() };
        assert!(refusal(twice, "").contains("twice"));
    }
}
