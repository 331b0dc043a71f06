//! What the command line takes.

use std::ffi::OsString;
use std::net::SocketAddrV4;

use clap::{Args, Parser, ValueEnum};

/// Set-ups under way at a time where nothing else is said.
pub const SETUP_WINDOW: usize = 32;
/// What a packet may be late after its trial, in seconds, where nothing else is said.
pub const PATIENCE: f64 = 0.04;

#[derive(Parser)]
#[command(
    name = "loadgen",
    about = "Loads a TURN server over loopback and counts what comes out"
)]
pub enum Command {
    /// Find the highest rate with less loss than --max-loss
    Search(SearchArgs),
    /// Send at one rate, or as fast as possible
    Rate(RateArgs),
    /// Count authenticated set-ups (Allocate, CreatePermission, ChannelBind) a second
    Allocate(AllocateArgs),
    /// Hold allocations and tell the server's memory for each
    Hold(AllocateArgs),
    /// Calls from their set-up to their release, with all that clients renew meanwhile
    Call(CallArgs),
    /// Kill the server under its allocations and wait until all of them relay again; somebody else starts it anew
    Restore(RestoreArgs),
    /// Forward TCP connections, each way so much later
    Delay(DelayArgs),
    /// What the generator does on its own, from its client socket straight to its peer socket
    #[command(name = "self")]
    Itself(SelfArgs),
    /// Serve as a bare recvmmsg/sendmmsg forwarder that speaks enough TURN, without authentication
    Forward(ForwardArgs),
    /// Set allocations up, send through them and release them, over and over
    Churn(ChurnArgs),
    /// Allocate for many clients that all come at the same moment, and release
    Rush(RushArgs),
    /// Run a command in a network namespace of its own, in which the generator's sends cost it less
    Apart(ApartArgs),
}

/// How single packets are sent; runs always go through a UDP socket.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// Through a packet socket where that can be had, otherwise through a UDP socket
    Auto,
    Socket,
    Raw,
}

#[derive(Args)]
pub struct Sending {
    #[arg(long, value_enum, default_value = "auto")]
    pub via: Via,
    /// Packets of one flow sent back to back with UDP GSO
    #[arg(long, default_value_t = 1)]
    pub run: usize,
    /// Receive runs joined (UDP GRO), as the server sent them
    #[arg(long)]
    pub gro: bool,
}

#[derive(Args)]
pub struct ChurnArgs {
    #[command(flatten)]
    pub load: Load,
    /// Set-ups under way at a time
    #[arg(long, default_value_t = SETUP_WINDOW)]
    pub window: usize,
    /// Packets a second while the allocations stand
    #[arg(long, default_value_t = 2_000.0)]
    pub rate: f64,
    /// Seconds for which they stand
    #[arg(long, default_value_t = 0.3)]
    pub hold: f64,
    /// Seconds in all
    #[arg(long, default_value_t = 60.0)]
    pub time: f64,
    /// Seconds of silence after which what has not arrived counts as lost
    #[arg(long, default_value_t = PATIENCE)]
    pub patience: f64,
}

#[derive(Args)]
pub struct ApartArgs {
    #[arg(trailing_var_arg = true, required = true)]
    pub command: Vec<OsString>,
}

#[derive(Args)]
pub struct Target {
    /// Server address, IPv4
    #[arg(long)]
    pub server: SocketAddrV4,
    #[arg(long, default_value = "bench")]
    pub username: String,
    #[arg(long, default_value = "bench")]
    pub password: String,
    /// Process whose CPU time and memory are the server's; several where a packet passes several
    #[arg(long)]
    pub server_pid: Vec<u32>,
    /// Core to run on
    #[arg(long)]
    pub core: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    Channel,
    Send,
    Binding,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Direction {
    ToPeer,
    ToClient,
}

#[derive(Args)]
pub struct Load {
    #[command(flatten)]
    pub target: Target,
    #[arg(long, value_enum, default_value = "channel")]
    pub mode: Mode,
    #[arg(long, value_enum, default_value = "to-peer")]
    pub direction: Direction,
    #[arg(long, default_value_t = 50)]
    pub flows: usize,
    /// Application bytes in a packet
    #[arg(long, default_value_t = 200)]
    pub size: usize,
    /// Where clients send their data to, and get it from, once they are set up; by default the server
    #[arg(long)]
    pub enter: Option<SocketAddrV4>,
    #[command(flatten)]
    pub sending: Sending,
}

#[derive(Args)]
pub struct SearchArgs {
    #[command(flatten)]
    pub load: Load,
    /// Packets a second to begin with
    #[arg(long, default_value_t = 20_000.0)]
    pub start: f64,
    #[arg(long, default_value_t = 0.01)]
    pub max_loss: f64,
    /// Seconds of each step
    #[arg(long, default_value_t = 0.6)]
    pub step: f64,
    /// Seconds of the last trial, whose figures count
    #[arg(long, default_value_t = 3.0)]
    pub measure: f64,
    /// Seconds after which the search ends with what it has
    #[arg(long, default_value_t = 25.0)]
    pub time: f64,
}

#[derive(Args)]
pub struct RateArgs {
    #[command(flatten)]
    pub load: Load,
    /// Packets a second; without it as many as the generator can
    #[arg(long)]
    pub rate: Option<f64>,
    #[arg(long, default_value_t = 3.0)]
    pub measure: f64,
    #[arg(long, default_value_t = 0.5)]
    pub warmup: f64,
    /// Seconds of silence after which what has not arrived counts as lost
    #[arg(long, default_value_t = PATIENCE)]
    pub patience: f64,
}

#[derive(Args)]
pub struct AllocateArgs {
    #[command(flatten)]
    pub target: Target,
    #[arg(long, default_value_t = 2_000)]
    pub count: usize,
    /// Set-ups under way at a time
    #[arg(long, default_value_t = SETUP_WINDOW)]
    pub window: usize,
    /// Set-ups begun a second, whatever is under way; without it as many as the window lets through
    #[arg(long)]
    pub rate: Option<f64>,
    /// Seconds after which the measurement fails
    #[arg(long, default_value_t = 60.0)]
    pub limit: f64,
}

#[derive(Args)]
pub struct RushArgs {
    #[command(flatten)]
    pub target: Target,
    #[arg(long, default_value_t = 10_000)]
    pub count: usize,
    /// Seconds after which a client gives up
    #[arg(long, default_value_t = 30.0)]
    pub limit: f64,
}

#[derive(Args)]
pub struct CallArgs {
    #[command(flatten)]
    pub target: Target,
    #[arg(long, default_value_t = 100)]
    pub count: usize,
    /// Seconds that a call lasts
    #[arg(long, default_value_t = 30.0)]
    pub time: f64,
    /// Seconds over which the calls begin
    #[arg(long, default_value_t = 6.0)]
    pub spread: f64,
    /// Application packets of a call, spread over its time
    #[arg(long, default_value_t = 60)]
    pub packets: usize,
}

#[derive(Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    pub target: Target,
    #[arg(long, default_value_t = 5_000)]
    pub count: usize,
    /// Packets a second meanwhile, round the allocations that do not relay yet
    #[arg(long, default_value_t = 50_000.0)]
    pub rate: f64,
    /// Seconds until those that do not relay are lost
    #[arg(long, default_value_t = 30.0)]
    pub limit: f64,
}

#[derive(Args)]
pub struct DelayArgs {
    #[arg(long)]
    pub listen: SocketAddrV4,
    #[arg(long)]
    pub to: SocketAddrV4,
    /// Each way
    #[arg(long, default_value_t = 500)]
    pub microseconds: u64,
    #[arg(long)]
    pub core: Option<usize>,
}

#[derive(Args)]
pub struct SelfArgs {
    #[arg(long, default_value_t = 50)]
    pub flows: usize,
    #[arg(long, default_value_t = 200)]
    pub size: usize,
    #[command(flatten)]
    pub sending: Sending,
    #[arg(long)]
    pub rate: Option<f64>,
    #[arg(long, default_value_t = 3.0)]
    pub measure: f64,
    #[arg(long)]
    pub core: Option<usize>,
}

#[derive(Args)]
pub struct ForwardArgs {
    #[arg(long)]
    pub listen: SocketAddrV4,
    #[arg(long)]
    pub core: Option<usize>,
}
