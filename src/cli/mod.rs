//! The command line: what the user typed, what comes back, and the exit code.

mod arguments;
mod ask;
mod check;
mod help;
#[cfg(feature = "import")]
mod import;
mod output;

use crate::sys;
use arguments::Command;

/// Exit code for a command line that is not understood.
const EXIT_USAGE: u8 = 2;

/// Does what the command line says. Gives the exit code: 0 healthy or done, 1 degraded or failed, 2 usage or
/// configuration error, 3 not running, 4 does not answer.
pub fn main() -> u8 {
    let command = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(usage) => {
            output::complain(&usage.0);
            return EXIT_USAGE;
        }
    };
    match command {
        Command::Run(run) => sys::run(run),
        Command::Worker => sys::worker::main(),
        Command::Resolve => sys::lookup::main(),
        Command::Check { config, config_id } => check::check(&config, config_id.as_deref()),
        #[cfg(feature = "import")]
        Command::Import(options) => import::import(&options),
        #[cfg(not(feature = "import"))]
        Command::Import(_) => {
            output::complain("vipd import: this vipd was built without the importer (feature `import`)");
            EXIT_USAGE
        }
        Command::Status { socket, request, watch: false } => ask::status(&socket, request),
        Command::Status { socket, request, watch: true } => ask::watch(&socket, request),
        Command::Events { socket, request } => ask::events(&socket, request),
        Command::Reload { socket } => ask::reload(&socket),
        Command::Resign { socket, request } => ask::resign(&socket, request),
        Command::Restore { socket, name } => ask::restore(&socket, name),
        Command::Drain { socket, request } => ask::drain(&socket, request),
        Command::Undrain { socket, request } => ask::undrain(&socket, request),
        Command::Probe { socket, request } => ask::probe(&socket, request),
        Command::Version { socket } => ask::version(&socket),
        Command::Help { topic } => {
            output::print(&help::text(topic));
            0
        }
    }
}
