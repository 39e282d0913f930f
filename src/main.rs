//! The `vipd` program: hands the command line to `vipd::cli`.

fn main() {}
