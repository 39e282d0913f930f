//! The `vipd` program: hands the command line to `vipd::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(vipd::cli::main())
}
