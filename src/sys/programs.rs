//! The programs of a configuration: as whom they run, and whether they can and should.
//!
//! Everything that needs a file is done here, when a configuration is taken over, so that the loop starts a
//! program without reading one (law 1).

use super::file::read_small;
use crate::limits;
use crate::model::{CheckKind, Command, Config, Fifo, Notify, Service, TrackKind};
use nix::unistd::{Gid, Uid, geteuid, getgid, getuid};
use std::ffi::CString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
/// Home of a user whose home nobody knows.
const ROOT_HOME: &str = "/";

/// As whom a program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: Uid,
    pub(super) gid: Gid,
    /// `HOME=...`
    pub(super) home: CString,
}

/// The users and groups that a configuration names, as the system knows them. The files are read here and
/// not by the C library, which might ask a server for them.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    users: Vec<User>,
    groups: Vec<(String, u32)>,
    /// Users and groups whom services name, for the next `configure`.
    learned: (Vec<String>, Vec<String>),
}

#[derive(Debug, Clone)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

/// Why a program cannot run as it should; prints as a sentence without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoAccount(pub(super) String);

impl Accounts {
    /// Keeps those in mind whom the programs of a service name, until `configure` reads them. There may be
    /// thousands of services, and adverts in between (law 1).
    pub(super) fn learn(&mut self, service: &Service) {
        for command in of_service(service) {
            remember(&mut self.learned.0, command.user.as_ref());
            remember(&mut self.learned.1, command.group.as_ref());
        }
    }

    /// Reads those that `config` names, its services aside, and those that were learned. Commands of the
    /// configuration before it may still have to run (its objects are told that they are gone), so what is
    /// known already stays known.
    pub(super) fn configure(&mut self, config: &Config) {
        let (mut users, mut groups) = core::mem::take(&mut self.learned);
        self.users.iter().for_each(|user| remember(&mut users, Some(&user.name)));
        self.groups.iter().for_each(|(name, _)| remember(&mut groups, Some(name)));
        let named = commands(config).map(|(_, c)| (&c.user, &c.group));
        for (user, group) in named.chain(fifos(config).map(|f| (&f.user, &f.group))) {
            remember(&mut users, user.as_ref());
            remember(&mut groups, group.as_ref());
        }
        if users.is_empty() && groups.is_empty() {
            return;
        }
        self.read(&users, &groups, &text(PASSWD), &text(GROUP));
    }

    fn read(&mut self, users: &[String], groups: &[String], passwd: &str, group: &str) {
        self.users = passwd
            .lines()
            .filter_map(User::parse)
            .filter(|user| users.iter().any(|wanted| user.is_called(wanted)))
            .take(limits::ACCOUNTS_MAX)
            .collect();
        self.groups = group
            .lines()
            .filter_map(group_line)
            .filter(|(name, _)| groups.contains(name))
            .take(limits::ACCOUNTS_MAX)
            .collect();
    }

    /// As whom a program of this user and this group runs; a number stands for itself.
    pub(super) fn find(&self, user: Option<&str>, group: Option<&str>) -> Result<Account, NoAccount> {
        let known = |name: &str| self.users.iter().find(|known| known.is_called(name));
        let (uid, own_group, home) = match user {
            None => (getuid(), getgid(), ROOT_HOME),
            Some(name) => match (known(name), name.parse::<u32>()) {
                (Some(user), _) => (Uid::from_raw(user.uid), Gid::from_raw(user.gid), user.home.as_str()),
                // A number without a line in the file has the group of its own number, as containers have it.
                (None, Ok(number)) => (Uid::from_raw(number), Gid::from_raw(number), ROOT_HOME),
                (None, Err(_)) => return Err(NoAccount(format!("user `{name}` is not in {PASSWD}"))),
            },
        };
        let gid = match group {
            None => own_group,
            Some(name) => match (self.groups.iter().find(|(known, _)| known == name), name.parse::<u32>()) {
                (Some((_, gid)), _) => Gid::from_raw(*gid),
                (None, Ok(number)) => Gid::from_raw(number),
                (None, Err(_)) => return Err(NoAccount(format!("group `{name}` is not in {GROUP}"))),
            },
        };
        // setresuid(2), setresgid(2), chown(2): -1 leaves it as it is, which is root.
        if uid.as_raw() == u32::MAX || gid.as_raw() == u32::MAX {
            return Err(NoAccount(format!("{} is no user or group", u32::MAX)));
        }
        let home = CString::new(format!("HOME={home}")).unwrap_or_default();
        Ok(Account { uid, gid, home })
    }
}

impl User {
    /// `name:password:uid:gid:comment:home:shell` (passwd(5)).
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1).unwrap_or(ROOT_HOME).to_owned();
        Some(User { name, uid, gid, home })
    }

    fn is_called(&self, name: &str) -> bool {
        self.name == name || name.parse() == Ok(self.uid)
    }
}

/// `name:password:gid:members` (group(5)).
fn group_line(line: &str) -> Option<(String, u32)> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    Some((name, fields.nth(1)?.parse().ok()?))
}

fn remember(names: &mut Vec<String>, name: Option<&String>) {
    if let Some(name) = name.filter(|name| !names.contains(name)) {
        names.push(name.clone());
    }
}

/// A file that may be missing; without it nobody has a name.
fn text(path: &str) -> String {
    let bytes = read_small(Path::new(path), limits::ACCOUNT_FILE_MAX).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Every program of a service, of its servers and of their checks.
fn of_service(service: &Service) -> impl Iterator<Item = &Command> {
    let servers = service.servers.iter().flat_map(|server| {
        let checks = server.checks.iter().filter_map(|check| match &check.kind {
            CheckKind::Script(script) => Some(&script.command),
            CheckKind::Tcp
            | CheckKind::Http(_)
            | CheckKind::Smtp(_)
            | CheckKind::Ping
            | CheckKind::Dns(_)
            | CheckKind::Udp(_)
            | CheckKind::File(_) => None,
        });
        [&server.up, &server.down].into_iter().filter_map(|command| command.as_deref()).chain(checks)
    });
    let own = [&service.quorum_up, &service.quorum_down];
    own.into_iter().filter_map(|command| command.as_deref()).chain(servers)
}

/// Every program of a configuration but those of services, and where it stands there.
fn commands(config: &Config) -> impl Iterator<Item = (String, &Command)> {
    let global = [("start_script", &config.global.start_script), ("stop_script", &config.global.stop_script)];
    let global = global.into_iter().filter_map(|(key, c)| Some((format!("[global] {key}"), c.as_ref()?)));
    let instances = config.instances.iter().flat_map(|i| {
        let pre_active = i.pre_active.iter().map(|c| ("pre_active", c));
        let services = i.run_while_active.iter().flat_map(|s| [("start", &s.start), ("stop", &s.stop)]);
        let all = notified(&i.notify).chain(pre_active).chain(services);
        all.map(move |(key, c)| (format!("[[vrrp]] {}: {key}", i.name), c))
    });
    let groups = config.groups.iter().flat_map(|group| {
        notified(&group.notify).map(move |(key, c)| (format!("[[sync_group]] {}: {key}", group.name), c))
    });
    let tracks = config.tracks.iter().filter_map(|track| match &track.kind {
        TrackKind::Script { command, .. } => Some((format!("[[track]] {}: script", track.name), command)),
        TrackKind::Interface { .. }
        | TrackKind::File { .. }
        | TrackKind::Process { .. }
        | TrackKind::Address { .. }
        | TrackKind::Route { .. }
        | TrackKind::Path { .. } => None,
    });
    let readers =
        fifos(config).filter_map(|fifo| Some((format!("FIFO {}", fifo.path), fifo.script.as_ref()?)));
    global.chain(instances).chain(groups).chain(tracks).chain(readers)
}

fn notified(notify: &Notify) -> impl Iterator<Item = (&'static str, &Command)> {
    let Notify { active, backup, fault, stop, deleted, lower_priority, any, .. } = notify;
    let list = [
        ("notify active", active),
        ("notify backup", backup),
        ("notify fault", fault),
        ("notify stop", stop),
        ("notify deleted", deleted),
        ("notify lower_priority", lower_priority),
        ("notify any", any),
    ];
    list.into_iter().filter_map(|(key, command)| Some((key, command.as_ref()?)))
}

fn fifos(config: &Config) -> impl Iterator<Item = &Fifo> {
    [&config.fifos.all, &config.fifos.vrrp, &config.fifos.balance].into_iter().flatten()
}

/// What is wrong with the programs on this box, one sentence each, at most [`limits::DIAGNOSTICS_MAX`]: one
/// is missing or cannot be run, its user is unknown, or somebody else could change what root runs
/// (keepalived's `enable_script_security`; HC-46). Warnings: a program may be installed later.
pub fn findings(config: &Config) -> Vec<String> {
    let mut accounts = Accounts::default();
    accounts.configure(config);
    let mut findings = Vec::new();
    for (whose, command) in commands(config) {
        let Some(path) = command.argv.first() else { continue };
        let account = accounts.find(command.user.as_deref(), command.group.as_deref());
        let finding = match account {
            Err(NoAccount(why)) => Some(format!("{whose}: {why}; it will not be run")),
            Ok(account) => fault(Path::new(path), account.uid).map(|what| format!("{whose}: {path} {what}")),
        };
        if let Some(finding) = finding.filter(|finding| !findings.contains(finding)) {
            findings.push(finding);
        }
        if findings.len() == limits::DIAGNOSTICS_MAX {
            break;
        }
    }
    findings
}

fn fault(path: &Path, uid: Uid) -> Option<String> {
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(error) => return Some(format!("cannot be run: {error}")),
    };
    if !found.is_file() {
        return Some("cannot be run: it is not a file".to_owned());
    }
    if found.mode() & 0o111 == 0 {
        return Some("cannot be run: it is not executable".to_owned());
    }
    if !uid.is_root() || !geteuid().is_root() {
        return None;
    }
    if is_open_to_others(&found) {
        return Some("is run as root, and others than root can write to it".to_owned());
    }
    // Whoever can rename the file can put another one in its place. Links have been followed.
    let real = std::fs::canonicalize(path).ok()?;
    let folder = real.ancestors().skip(1).find(|folder| {
        std::fs::metadata(folder).is_ok_and(|found| is_open_to_others(&found) && !is_sticky(&found))
    })?;
    Some(format!("is run as root, and others than root can write to {}", folder.display()))
}

fn is_open_to_others(found: &Metadata) -> bool {
    found.uid() != 0 || found.mode() & 0o002 != 0 || (found.gid() != 0 && found.mode() & 0o020 != 0)
}

/// In such a folder only the owner renames and removes a file (`/tmp`).
fn is_sticky(found: &Metadata) -> bool {
    found.uid() == 0 && found.mode() & 0o1000 != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Check, Forwarding, Front, Protocol, ScriptCheck, Server};
    use crate::time::Duration;
    use std::os::unix::fs::PermissionsExt;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/ash\nbroken\nwww:x:33:34:web:/var/www:/bin/false\n";
    const GROUPS: &str = "root:x:0:\nadm:x:4:www\n";

    fn accounts(users: &[&str], groups: &[&str]) -> Accounts {
        let mut accounts = Accounts::default();
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        accounts.read(&own(users), &own(groups), PASSWD, GROUPS);
        accounts
    }

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let accounts = accounts(&["www", "0"], &["adm"]);
        let www = accounts.find(Some("www"), None).unwrap();
        assert_eq!((www.uid.as_raw(), www.gid.as_raw()), (33, 34), "its own group where none is given");
        assert_eq!(www.home.to_str(), Ok("HOME=/var/www"));
        let in_adm = accounts.find(Some("www"), Some("adm")).unwrap();
        assert_eq!((in_adm.uid.as_raw(), in_adm.gid.as_raw()), (33, 4));
        assert_eq!(accounts.find(Some("0"), None).unwrap().home.to_str(), Ok("HOME=/root"));
        let bare = accounts.find(Some("1234"), Some("77")).unwrap();
        assert_eq!((bare.uid.as_raw(), bare.gid.as_raw()), (1234, 77), "a container without the file");
    }

    /// `script_user` may be for checks of servers alone.
    #[test]
    fn whom_services_name_is_known_too() {
        let front = Front::Address("10.0.0.1:80".parse().unwrap());
        let mut service = Service::new("web".try_into().unwrap(), Protocol::Tcp, front);
        let command = |user: &str| Command {
            argv: vec!["/x".into()],
            user: Some(user.into()),
            group: Some("root".into()),
            timeout: Duration::from_secs(1),
        };
        let script = ScriptCheck { command: command("root"), dynamic: false };
        let mut server = Server::new("192.0.2.1:80".parse().unwrap(), Forwarding::Masquerade);
        server.checks = vec![Check::new(CheckKind::Script(script))].into();
        server.up = Some(command("a").into());
        server.down = Some(command("b").into());
        service.quorum_up = Some(command("c").into());
        service.quorum_down = Some(command("d").into());
        service.servers.push(server);
        let mut accounts = Accounts::default();
        accounts.learn(&service);
        assert_eq!(accounts.learned.0, ["c", "d", "a", "b", "root"]);
        accounts.configure(&Config::default());
        assert_eq!(accounts.find(Some("root"), Some("root")).unwrap().uid.as_raw(), 0);
        accounts.configure(&Config::default());
        assert!(accounts.find(Some("root"), None).is_ok(), "what is known stays known");
    }

    #[test]
    fn nobody_is_guessed() {
        let accounts = accounts(&["nobody"], &["nogroup"]);
        for (user, group, want) in [
            ("nobody", None, "user `nobody` is not in /etc/passwd"),
            ("0", Some("nogroup"), "group `nogroup` is not in /etc/group"),
            ("4294967295", None, "4294967295 is no user or group"),
            ("4294967295", Some("4"), "4294967295 is no user or group"),
            ("0", Some("4294967295"), "4294967295 is no user or group"),
        ] {
            let NoAccount(why) = accounts.find(Some(user), group).unwrap_err();
            assert_eq!(why, want, "HC-46: it would run as root instead");
        }
    }

    #[test]
    fn findings_name_the_program_and_the_reason() {
        let folder = std::env::temp_dir().join(format!("vipd-programs-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, mode: u32| {
            let path = folder.join(name);
            std::fs::write(&path, "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (good, plain, open) = (file("good", 0o755), file("plain", 0o644), file("open", 0o777));
        let says = |path: &str, user: Option<&str>| {
            let user = user.map(str::to_owned);
            let command =
                Command { argv: vec![path.into()], user, group: None, timeout: Duration::from_secs(1) };
            let mut config = Config::default();
            config.global.start_script = Some(command);
            findings(&config).join("\n")
        };
        assert_eq!(says(&good, None), "");
        assert!(says("/nonexistent/x", None).contains("start_script: /nonexistent/x cannot be run: No such"));
        assert!(says("/usr", None).contains("not a file"), "B-125: a directory");
        assert!(says(&plain, None).contains("not executable"), "B-125");
        assert!(says(&good, Some("no-such-user")).contains("user `no-such-user` is not in"));
        if geteuid().is_root() {
            assert!(says(&open, None).contains("others than root can write to it"), "HC-46");
            assert_eq!(says(&open, Some("65534")), "", "it is not run as root");
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
            assert!(says(&good, None).contains("can write to /"), "HC-46: by way of the folder");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
