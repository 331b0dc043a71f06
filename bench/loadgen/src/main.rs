//! Load generator for TURN and STUN servers, and the bare forwarder they are measured against.

mod batch;
mod commands;
mod flow;
mod forward;
mod process;
mod search;
mod session;
mod stun;
mod tag;
mod traffic;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match commands::run(commands::Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadgen: {error}");
            ExitCode::FAILURE
        }
    }
}
