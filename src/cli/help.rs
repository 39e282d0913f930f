//! Help: at most 80 columns, and true for this release.

use super::arguments::Topic;

/// Help on a command, or on all of them.
pub(super) fn text(topic: Topic) -> String {
    let body = match topic {
        Topic::All => ALL,
        Topic::Run => RUN,
        Topic::Check => CHECK,
        Topic::Import => IMPORT,
        Topic::Status => STATUS,
        Topic::Events => EVENTS,
        Topic::Reload => RELOAD,
        Topic::Resign => RESIGN,
        Topic::Restore => RESTORE,
        Topic::Drain => DRAIN,
        Topic::Undrain => UNDRAIN,
        Topic::Probe => PROBE,
        Topic::Version => VERSION,
    };
    body.replace("{version}", env!("CARGO_PKG_VERSION"))
}

const ALL: &str = "\
vipd {version}: keeps a virtual IP address on one healthy router (VRRP), and spreads
the connections that arrive there over healthy servers (IPVS).

Usage: vipd COMMAND [OPTIONS]

  run       run the daemon, in the foreground
  check     check a configuration file
  import    make a configuration of a keepalived.conf
  status    show what the daemon is doing, and why
  events    show the last state changes with their causes
  reload    make the daemon read its configuration file again
  resign    make an instance leave Active, for maintenance
  restore   let it take part again
  drain     give a server no new connections, for maintenance
  undrain   give it new ones again
  probe     check a server now, and show every step with its time
  version   print the version
  help      help on a command: vipd help status

Exit codes: 0 healthy or done, 1 degraded or failed, 2 usage or configuration
error, 3 not running, 4 does not answer.

The configuration is /etc/vipd.toml, the control socket /run/vipd/control.sock.
";

const RUN: &str = "\
Usage: vipd run [OPTIONS]

Runs the daemon in the foreground. SIGHUP reads the configuration again; SIGTERM
and SIGINT resign, remove the virtual addresses and leave. Readiness is told to
NOTIFY_SOCKET where that is set.

  --config FILE      the configuration (/etc/vipd.toml), or a keepalived.conf
  --config-id ID     for its lines with @ (the host's name up to the first dot)
  --socket PATH      the control socket (/run/vipd/control.sock)
  --log TARGET       stderr or syslog (stderr)
  --log-level LEVEL  error, warn, info, debug or trace (info)

Exit codes: 0 left as told, 1 the system refused what is needed, 2 usage or
configuration error.
";

const CHECK: &str = "\
Usage: vipd check [OPTIONS] [FILE]

Checks a configuration (/etc/vipd.toml), or a keepalived.conf. Findings go to
standard error, one per line: FILE:LINE:COLUMN, what is wrong, what was probably
meant.

  --config FILE   the same as FILE
  --config-id ID  which lines with @ count in a keepalived.conf (the host's name
                  up to the first dot)

Exit codes: 0 valid, 1 not valid.
";

const IMPORT: &str = "\
Usage: vipd import [OPTIONS] KEEPALIVED.CONF

Makes a configuration that does what a keepalived.conf says, with the files that
it includes. It goes to standard output; findings go to standard error, one per
line: FILE:LINE:COLUMN, the level, what it is about. An error is what changes
behaviour and is not in the configuration; a warning is what is in it and means
something else; a note is what has an old name, or is of no use here.

  -o, --output FILE  where the configuration goes
  --strict           no configuration where there are errors
  --config-id ID     which lines with @ count (the host's name up to the first
                     dot)

Exit codes: 0 everything that matters is there, 1 there are errors, 2 usage
error, or not readable as a keepalived.conf.
";

const STATUS: &str = "\
Usage: vipd status [--json | --metrics | --brief] [--watch] [NAME]

Shows instances, groups, trackers, services and problems on one screen of 80x24;
with NAME one of them in detail.

  --json         everything as one JSON object; times in milliseconds
  --metrics      the numbers in the text format of Prometheus
  --brief        one line for each instance, group, tracker and service
  --watch        again every 2 seconds, until interrupted
  --socket PATH  the control socket (/run/vipd/control.sock)

The same without this program: echo status | nc -U /run/vipd/control.sock

Exit codes: 0 healthy, 1 degraded, 2 usage error or unknown NAME, 3 not running,
4 does not answer. Degraded is: an instance in Fault, a virtual address or route
missing, two Active routers, a tracker that costs priority, a service of
run_while_active that failed, servers down, IPVS missing. Backup is healthy.
";

const EVENTS: &str = "\
Usage: vipd events [--json]

Shows the last state changes with their causes, the newest last.

  --json         as one JSON object; ages in milliseconds
  --socket PATH  the control socket (/run/vipd/control.sock)
";

const RELOAD: &str = "\
Usage: vipd reload

Makes the daemon read its configuration file again. With an error in it the
daemon goes on as it is, and the findings are printed.

  --socket PATH  the control socket (/run/vipd/control.sock)

Exit codes: 0 done, 1 refused, 3 not running, 4 does not answer.
";

const RESIGN: &str = "\
Usage: vipd resign INSTANCE [--for TIME]

Makes an instance leave Active: another router takes over at once. It stays out
until \"vipd restore INSTANCE\", a restart of the daemon, or for TIME.

  --for TIME     90s, 10m, 2h, 1d; at most 365d
  --socket PATH  the control socket (/run/vipd/control.sock)

Exit codes: 0 done, 2 usage error or unknown INSTANCE, 3 not running, 4 does not
answer.
";

const RESTORE: &str = "\
Usage: vipd restore INSTANCE

Lets an instance that was made to leave take part again.

  --socket PATH  the control socket (/run/vipd/control.sock)

Exit codes: 0 done, 2 usage error or unknown INSTANCE, 3 not running, 4 does not
answer.
";

const DRAIN: &str = "\
Usage: vipd drain SERVICE SERVER

Gives a server no new connections (weight 0); those that it has go on. \"vipd
status SERVICE\" shows how many are left. It stays so until \"vipd undrain SERVICE
SERVER\" or a restart of the daemon, whatever its checks say.

SERVER is its address or its name as configured; the port may be left out where
only one server has that address. Where persistence is configured, clients that
stick to it come back unless the kernel's expire_quiescent_template is 1.

  --socket PATH  the control socket (/run/vipd/control.sock)

Exit codes: 0 done, 2 usage error or unknown SERVER, 3 not running, 4 does not
answer.
";

const UNDRAIN: &str = "\
Usage: vipd undrain SERVICE SERVER

Gives a server that was drained new connections again, while it is up.

  --socket PATH  the control socket (/run/vipd/control.sock)

Exit codes: 0 done, 2 usage error or unknown SERVER, 3 not running, 4 does not
answer.
";

const PROBE: &str = "\
Usage: vipd probe [--json] SERVICE SERVER

Makes one probe of each check of a server, now, and prints every step with its
time; for a script its exit code. The server's state does not change by it.

SERVER is its address or its name as configured; the port may be left out where
only one server has that address. The answer comes when all checks have ended,
within 60 s.

  --json         as one JSON object; times in microseconds
  --socket PATH  the control socket (/run/vipd/control.sock)

Exit codes: 0 all passed, 1 not all, 2 usage error or unknown SERVER, 3 not
running, 4 does not answer.
";

const VERSION: &str = "\
Usage: vipd version

Prints the version of this program, and that of the running daemon where it is
another one.

  --socket PATH  the control socket (/run/vipd/control.sock)
";
