//! The binary: parses, runs, returns the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    weighbridge::cli::main()
}
