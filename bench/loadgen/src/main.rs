//! Load generator for TURN and STUN servers, and the bare forwarder they are measured against.

mod args;
mod call;
mod commands;
mod delay;
mod endpoint;
mod flow;
mod forward;
mod namespace;
mod outlet;
mod play;
mod process;
mod raw;
mod receive;
mod restore;
mod rush;
mod search;
mod send;
mod session;
mod stun;
mod tag;
mod traffic;
mod trial;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match commands::run(args::Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadgen: {error}");
            ExitCode::FAILURE
        }
    }
}
