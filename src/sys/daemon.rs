//! `vipd run`: the loop. One thread, one `ppoll`, nothing that waits (law 1).

mod answer;
mod reload;
mod stall;

use self::stall::StallWatch;
use super::clock;
use super::control::ControlServer;
use super::errands::Errands;
use super::inquiry::Inquiries;
use super::ipvs::{IpvsSettings, IpvsSocket, OldTimeouts, OwnDaemons, OwnServices};
use super::log::{self as lines, LogTarget};
use super::packet::{PacketSockets, frame_buffer};
use super::poll::PollSet;
use super::prober::Prober;
use super::programs;
use super::resolver::Resolver;
use super::rtnl::{Macvlan, Rtnl};
use super::settings::Settings;
use super::signals::{Signals, Wish};
use crate::engine::{Action, Actions, Engine, Event, LinkName, ProbeId, Refusal};
use crate::limits;
use crate::model::{Config, Global, Level};
use crate::time::{Duration, Instant};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use std::collections::VecDeque;
use std::path::PathBuf;

/// What `vipd run` was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOptions {
    /// The configuration file.
    pub config: PathBuf,
    /// Which lines with `@` count, where it is a keepalived.conf.
    pub config_id: Option<String>,
    /// The control socket.
    pub socket: PathBuf,
    /// Where log lines go.
    pub log: LogTarget,
    /// What is worth a log line.
    pub level: log::LevelFilter,
}

/// Exit codes of `vipd run`.
const EXIT_DONE: u8 = 0;
const EXIT_FAILED: u8 = 1;
const EXIT_CONFIG: u8 = 2;

/// More descriptors than probes, connections and sockets can ever want at one time.
const DESCRIPTORS: rlim_t = 65_536;

/// Lines about late turns are at least so far apart.
const STALL_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Runs the daemon until it is told to leave. The exit code: 0 a clean leave, 1 the system refuses what it
/// needs, 2 the configuration is refused.
pub fn run(options: RunOptions) -> u8 {
    lines::start(options.log, options.level);
    let config = match reload::read(&options, &mut || {}) {
        Ok(config) => config,
        Err(findings) => {
            eprint!("{findings}");
            return EXIT_CONFIG;
        }
    };
    for finding in programs::findings(&config) {
        log::warn!("{finding}");
    }
    match Daemon::new(options, &config) {
        Ok(mut daemon) => daemon.run(config),
        Err(why) => {
            log::error!("{why}");
            EXIT_FAILED
        }
    }
}

/// A link that is to go down, or away. Down, the kernel waits inside the request until no CPU can still have
/// a packet of it in hand (measured: 11 ms, and 23 ms for a removal): a hundred at once would hold up the
/// loop for seconds, so it is one a turn. As many wait as there are macvlans, each twice at most.
struct Ending {
    index: u32,
    name: LinkName,
    is_removal: bool,
}

struct Daemon {
    options: RunOptions,
    engine: Engine,
    actions: Actions,
    /// Events that came of actions, or of a socket, and wait for their turn.
    pending: VecDeque<Event<'static>>,
    poll: PollSet,
    signals: Signals,
    rtnl: Rtnl,
    ipvs: IpvsSocket,
    packets: PacketSockets,
    settings: Settings,
    ipvs_settings: IpvsSettings,
    own_services: OwnServices,
    old_timeouts: OldTimeouts,
    own_daemons: OwnDaemons,
    endings: VecDeque<Ending>,
    prober: Prober,
    resolver: Resolver,
    errands: Errands,
    /// Programs that run before the loop and after it.
    hooks: Global,
    control: ControlServer,
    inquiries: Inquiries,
    frame: Box<[u8]>,
    stall: StallWatch,
    stall_logged_at: Option<Instant>,
    /// The descriptors of a breath in the middle of something long, and when the last one was.
    breath: (PollSet, Instant),
    finished: bool,
}

impl Daemon {
    fn new(options: RunOptions, config: &Config) -> Result<Self, String> {
        let say = |what: &str, e: &dyn std::fmt::Display| format!("{what}: {e}");
        let signals = Signals::open().map_err(|e| say("signals", &e))?;
        let control =
            ControlServer::bind(&options.socket).map_err(|e| format!("{}: {e}", options.socket.display()))?;
        let rtnl = Rtnl::open().map_err(|e| say("route netlink", &e))?;
        let packets = PacketSockets::open()
            .map_err(|e| say("packet socket (needs CAP_NET_RAW and CONFIG_PACKET)", &e))?;
        let host = nix::unistd::gethostname().ok().and_then(|n| n.into_string().ok()).unwrap_or_default();
        let now = clock::now();
        // The process id differs between routers that boot together, so their probes do not fall together.
        let seed = std::process::id() ^ now.total_micros() as u32;
        let mut ipvs = IpvsSocket::new();
        ipvs.set_needs(reload::needs(config));
        Ok(Daemon {
            engine: Engine::new(config, &host, seed, now),
            actions: Actions::new(),
            pending: VecDeque::new(),
            poll: PollSet::new(),
            signals,
            rtnl,
            ipvs,
            packets,
            settings: Settings::open(Settings::beside(&options.socket)),
            ipvs_settings: IpvsSettings::open(&options.socket),
            own_services: OwnServices::beside(&options.socket),
            old_timeouts: OldTimeouts::beside(&options.socket),
            own_daemons: OwnDaemons::beside(&options.socket),
            endings: VecDeque::new(),
            prober: Prober::new(),
            resolver: Resolver::new(),
            errands: Errands::open().map_err(|e| say("programs", &e))?,
            hooks: Global::default(),
            control,
            inquiries: Inquiries::default(),
            frame: frame_buffer(),
            stall: StallWatch::default(),
            stall_logged_at: None,
            breath: (PollSet::new(), Instant::ZERO),
            finished: false,
            options,
        })
    }

    fn run(&mut self, config: Config) -> u8 {
        raise_descriptor_limit();
        log::info!("vipd {} starts with {}", env!("CARGO_PKG_VERSION"), self.options.config.display());
        self.hooks = config.global.clone();
        config.services.iter().for_each(|service| self.errands.learn(service));
        self.errands.configure(clock::now(), &config);
        let script = self.hooks.start_script.as_ref();
        let wish = script.and_then(|script| self.errands.run_hook(script, &mut self.signals, clock::now));
        if wish == Some(Wish::Leave) {
            log::info!("told to leave");
            self.errands.shutdown(clock::now);
            return EXIT_DONE;
        }
        self.ipvs_settings.settle(reload::wanted_by(&config));
        drop(config); // the engine has what it needs of it
        self.feed(clock::now(), Event::ServicesLeft(self.own_services.read()));
        self.feed(clock::now(), Event::TimeoutsLeft(self.old_timeouts.read()));
        self.feed(clock::now(), Event::DaemonsLeft(self.own_daemons.read()));
        self.rtnl.start_dump();
        super::ready::notify("READY=1");
        // The file was read before the script ran.
        if wish == Some(Wish::Reload)
            && let Ok(config) = self.reload()
        {
            self.take_over(clock::now(), config);
        }
        let mut code = EXIT_DONE;
        while !self.finished {
            if let Err(e) = self.turn() {
                // Deaf, it must not stay Active: resign and take the addresses away with what still works.
                log::error!("poll: {e}; leaving");
                self.feed(clock::now(), Event::Shutdown);
                code = EXIT_FAILED;
                break;
            }
        }
        super::ready::notify("STOPPING=1");
        self.end_links(clock::now(), |_| true);
        self.settings.settle(&mut self.rtnl);
        self.ipvs_settings.settle(|_| false);
        self.own_services.store(self.engine.own_services());
        self.prober.shutdown();
        self.resolver.shutdown();
        self.errands.shutdown(clock::now);
        if let Some(command) = &self.hooks.stop_script {
            self.errands.run_hook(command, &mut self.signals, clock::now);
        }
        log::info!("vipd leaves");
        code
    }

    /// One turn. The order is that of the module's rules: what has arrived is heard before a timer may fire,
    /// because after a stall both are true, and the advert must win.
    fn turn(&mut self) -> std::io::Result<()> {
        // 1. Poll until something is ready or due.
        self.poll.clear();
        self.signals.register(&mut self.poll);
        self.packets.register(&mut self.poll);
        self.rtnl.register(&mut self.poll);
        self.ipvs.register(&mut self.poll);
        self.prober.register(&mut self.poll);
        self.resolver.register(&mut self.poll);
        self.errands.register(&mut self.poll);
        self.control.register(&mut self.poll);
        let deadline = self.next_deadline();
        let before = clock::now();
        let timeout = deadline.map(|at| if at > before { at - before } else { Duration::ZERO });
        self.poll.wait(timeout)?;
        // 2. The clock, once.
        let mut now = clock::now();
        let late = self.stall.woke(deadline, before, now);
        self.watch_stall(now, late);
        if self.engine.wants_clock() {
            self.engine.set_unix_time(clock::unix());
        }
        // 3. Adverts.
        self.hear(now);
        self.packets.watch_drops(now);
        // 4. What is due.
        if self.engine.next_deadline().is_some_and(|at| at <= now) {
            self.feed(now, Event::Tick);
        }
        // 5. The kernel's tables.
        if let Some(ending) = self.endings.pop_front() {
            self.end_link(now, &ending);
        }
        let pending = &mut self.pending;
        self.rtnl.process(now, &self.poll, &mut |event| pending.push_back(event));
        self.ipvs.process(now, &self.poll, &mut |event| pending.push_back(event));
        self.feed_pending(now);
        // 6. Signals and children.
        let mut child = false;
        while let Some(wish) = self.signals.take(&self.poll) {
            match wish {
                Wish::Leave => {
                    log::info!("told to leave");
                    self.feed(now, Event::Shutdown);
                }
                Wish::Reload => {
                    let config = self.reload();
                    // It breathed meanwhile: time must not go back.
                    now = clock::now();
                    if let Ok(config) = config {
                        self.take_over(now, config);
                    }
                }
                // Whoever has children looks after them below.
                Wish::Child => child = true,
            }
        }
        let pending = &mut self.pending;
        let inquiries = &mut self.inquiries;
        self.errands.process(
            now,
            &self.poll,
            child,
            &self.engine,
            &mut |event| pending.push_back(event),
            &mut |id, ended| inquiries.handle_ran(id, ended.outcome, ended.took),
        );
        self.feed_pending(now);
        // 7. Probes and workers.
        let pending = &mut self.pending;
        let inquiries = &mut self.inquiries;
        self.prober.process(now, &self.poll, &mut |event| match event {
            Event::Probe { id, outcome, took } if id.checker >= ProbeId::ASKED => {
                inquiries.handle_probe(id, outcome, took);
            }
            event => pending.push_back(event),
        });
        while let Some((at, id, what)) = self.prober.take_step() {
            self.inquiries.step(at, id, what);
        }
        let pending = &mut self.pending;
        self.resolver.process(now, &self.poll, &mut |event| pending.push_back(event));
        self.feed_pending(now);
        // 8. The control socket.
        self.answer(now);
        self.own_services.store(self.engine.own_services());
        Ok(())
    }

    fn next_deadline(&self) -> Option<Instant> {
        [
            self.engine.next_deadline(),
            self.rtnl.next_deadline(),
            self.ipvs.next_deadline(),
            self.prober.next_deadline(),
            self.resolver.next_deadline(),
            self.errands.next_deadline(),
            self.control.next_deadline(),
            self.inquiries.next_deadline(),
            self.endings.front().map(|_| Instant::ZERO),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Later than the shortest advert interval: others may have given us up.
    fn watch_stall(&mut self, now: Instant, late: Duration) {
        if late > self.engine.stall_limit() {
            self.engine.count_stall(late);
            // Each is counted; on a machine that is always late, a line for each would make it later.
            if self.stall_logged_at.is_none_or(|at| now - at >= STALL_LOG_INTERVAL) {
                self.stall_logged_at = Some(now);
                log::warn!("the loop came {late} late");
            }
        }
    }

    fn hear(&mut self, now: Instant) {
        for port in 0..self.packets.count() {
            for _ in 0..limits::FRAMES_PER_TURN {
                let Some(got) = self.packets.receive(port, &self.poll, &mut self.frame) else { break };
                let bytes = self.frame.get(..got.len).unwrap_or(&[]);
                let event = Event::Frame { index: got.index, bytes, truncated: got.truncated };
                self.engine.handle(now, event, &mut self.actions);
                self.drain(now);
            }
        }
        self.feed_pending(now);
    }

    /// Hands in one event, does its actions, and so on with the events that came of them.
    fn feed(&mut self, now: Instant, event: Event<'static>) {
        self.pending.push_back(event);
        self.feed_pending(now);
    }

    fn feed_pending(&mut self, now: Instant) {
        while let Some(event) = self.pending.pop_front() {
            if let Event::LinkGone { index } = &event {
                self.settings.forget(*index);
            }
            self.engine.handle(now, event, &mut self.actions);
            self.drain(now);
        }
    }

    /// Does the actions in order. Address changes gather into one netlink message and go out before whatever
    /// comes after them, so that an announcement never leaves before its address is there.
    fn drain(&mut self, now: Instant) {
        while let Some(action) = self.actions.take() {
            match action {
                Action::AddAddress { index, cidr, lease, options } => {
                    self.rtnl.queue_add(index, cidr, lease, options);
                    continue;
                }
                Action::RemoveAddress { index, cidr, peer } => {
                    self.rtnl.queue_remove(index, cidr, peer);
                    continue;
                }
                // Nothing to do with addresses: the batch goes on gathering.
                Action::Note { number } => {
                    self.log(number);
                    continue;
                }
                Action::StartProbe(id) => {
                    match self.engine.probe_spec(id) {
                        Some(spec) => self.prober.start(now, id, &spec, self.engine.router_name()),
                        None => self.prober.refuse(now, id),
                    }
                    continue;
                }
                Action::StopProbe(id) => {
                    self.prober.stop(now, id);
                    continue;
                }
                Action::SendMail { id } => {
                    if let Some((letter, mail, to)) = self.engine.letter(id) {
                        self.prober.send_mail(now, letter, mail, to, self.engine.router_name());
                    }
                    continue;
                }
                Action::Ipvs { token, request } => {
                    self.ipvs.request(token, request);
                    continue;
                }
                Action::Transmit { index, frame } => {
                    self.flush_addresses(now);
                    if let Err(refusal) = self.packets.send(index, self.actions.bytes(&frame)) {
                        self.pending.push_back(Event::TransmitFailed { index, refusal });
                    }
                }
                Action::Listen(ear) => {
                    if let Err(why) = self.packets.listen(&ear) {
                        self.pending.push_back(Event::ListenFailed { ear, why });
                    }
                }
                Action::Unlisten(ear) => self.packets.unlisten(&ear),
                Action::TransmitPacket { index, packet } => {
                    self.flush_addresses(now);
                    if let Err(refusal) = self.packets.send_packet(index, self.actions.bytes(&packet)) {
                        self.pending.push_back(Event::TransmitFailed { index, refusal });
                    }
                }
                Action::WatchRoutes { routes, rules } => self.rtnl.watch(routes, rules),
                // Addresses before the routes that lean on them, routes before their addresses go (RTNL-34):
                // the engine orders, and here nothing overtakes.
                Action::ChangeRoute { token, op, index, route } => {
                    self.flush_addresses(now);
                    let result = self.rtnl.change_route(op, index, &route);
                    self.pending.push_back(Event::RouteResult { token, result });
                }
                Action::ChangeRule { token, op, rule } => {
                    self.flush_addresses(now);
                    let result = self.rtnl.change_rule(op, &rule);
                    self.pending.push_back(Event::RouteResult { token, result });
                }
                Action::MakeMacvlan { parent, name, mac, family, with_ipv6 } => {
                    // What is to go may have the same MAC (VMAC-4) or the same name.
                    self.end_links(now, |ending| ending.is_removal || ending.name == name);
                    self.flush_addresses(now);
                    let result = self.rtnl.make_macvlan(&Macvlan { parent, name, mac, family, with_ipv6 });
                    self.link_changed(now, name, result);
                }
                Action::SetLink { index, name, up: true } => {
                    self.end_links(now, |ending| ending.is_removal || ending.index == index);
                    self.flush_addresses(now);
                    let result = self.rtnl.set_link(index, true);
                    self.link_changed(now, name, result);
                }
                Action::SetLink { index, name, up: false } => {
                    self.endings.push_back(Ending { index, name, is_removal: false });
                }
                Action::RemoveLink { index, name } => {
                    self.endings.push_back(Ending { index, name, is_removal: true });
                }
                Action::HoldSetting { index, name: _, setting } => {
                    self.settings.hold(&mut self.rtnl, index, setting);
                }
                Action::ReleaseSetting { index, name: _, setting } => {
                    // It may have been held for those that go.
                    self.flush_addresses(now);
                    self.settings.release(&mut self.rtnl, index, setting);
                }
                Action::Resolve(id) => {
                    if let Some(spec) = self.engine.name_spec(id) {
                        self.resolver.start(id, &spec);
                    }
                }
                Action::HoldIpvsSetting { name, value } => self.ipvs_settings.hold(&name, &value),
                Action::ReleaseIpvsSetting { name } => self.ipvs_settings.release(&name),
                Action::UseIpvsInterface(interface) => self.ipvs.set_interface(interface),
                Action::RememberServices => self.own_services.note_change(),
                Action::RememberTimeouts(held) => self.old_timeouts.store(held),
                Action::RememberDaemons(ours) => self.own_daemons.store(&ours),
                Action::SettingsSettled => self.settings.settle(&mut self.rtnl),
                Action::Run(id) => {
                    self.flush_addresses(now);
                    self.errands.run(now, id, &self.engine);
                }
                Action::StopRun(id) => self.errands.stop(now, id),
                Action::Fifo { kind, line } => self.errands.tell(now, kind, &line),
                Action::Redump => self.rtnl.start_dump(),
                Action::Finished => self.finished = true,
            }
        }
        self.flush_addresses(now);
        self.actions.clear();
    }

    fn flush_addresses(&mut self, now: Instant) {
        let pending = &mut self.pending;
        while self.rtnl.flush(&mut |event| pending.push_back(event)) {
            // Our own changes come back as notifications; their queue must not overflow (RTNL-54).
            self.rtnl.drain(now, &mut |event| pending.push_back(event));
        }
    }

    /// Takes down, or removes, the links that are waiting for it and that `which` says, in order.
    fn end_links(&mut self, now: Instant, which: impl Fn(&Ending) -> bool) {
        for _ in 0..self.endings.len() {
            match self.endings.pop_front() {
                Some(ending) if which(&ending) => self.end_link(now, &ending),
                Some(ending) => self.endings.push_back(ending),
                None => {}
            }
        }
    }

    fn end_link(&mut self, now: Instant, ending: &Ending) {
        self.flush_addresses(now);
        let result = if ending.is_removal {
            self.rtnl.remove_macvlan(ending.index, &ending.name)
        } else {
            self.rtnl.set_link(ending.index, false)
        };
        self.link_changed(now, ending.name, result);
    }

    /// Success is seen by the notifications, which are taken in at once: a hundred macvlans must not fill
    /// their queue (RTNL-54).
    fn link_changed(&mut self, now: Instant, name: LinkName, result: Result<(), Refusal>) {
        let pending = &mut self.pending;
        self.rtnl.drain(now, &mut |event| pending.push_back(event));
        if let Err(refusal) = result {
            self.pending.push_back(Event::LinkFailed { name, refusal });
        }
    }

    fn log(&self, number: u32) {
        let Some(note) = self.engine.note(number) else { return };
        let level = match note.level {
            Level::Error => log::Level::Error,
            Level::Warning => log::Level::Warn,
            Level::Note => log::Level::Info,
        };
        if note.subject.is_empty() {
            log::log!(level, "{}: {}", note.kind, note.text);
        } else {
            log::log!(level, "{} {}: {}", note.kind, note.subject, note.text);
        }
    }
}

/// A probe that is on its way holds a descriptor, and there may be thousands; the usual soft limit is 1024.
/// Children are not harmed: they close what is not theirs by CLOEXEC, not by counting up to the limit.
fn raise_descriptor_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(e) = setrlimit(Resource::RLIMIT_NOFILE, hard.min(DESCRIPTORS), hard)
    {
        log::warn!("only {soft} descriptors: {e}");
    }
}
