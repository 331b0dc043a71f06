//! The command line: each command runs one measurement and prints one JSON object.

use std::error::Error;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use clap::{Args, Parser, ValueEnum};
use serde::Serialize;
use serde_json::json;

use crate::endpoint::Endpoint;
use crate::flow::{Credentials, Flow, MAX_FLOWS, client_address};
use crate::forward;
use crate::namespace;
use crate::process::{cpu_micros, pin, resident_bytes};
use crate::raw::RawSocket;
use crate::search::{Limits, search};
use crate::send::{MAX_RUN, SLOT};
use crate::session::Session;
use crate::stun::{Builder, HEADER_LEN, attr, channel_header, kind};
use crate::tag::HEAD;
use crate::traffic::{Lane, Plan, Shape, Traffic};

const SETUP_WINDOW: usize = 32;
const SETUP_LIMIT: Duration = Duration::from_secs(60);

type Outcome = Result<(), Box<dyn Error>>;

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
    /// What the generator does on its own, from its client socket straight to its peer socket
    #[command(name = "self")]
    Itself(SelfArgs),
    /// Serve as a bare recvmmsg/sendmmsg forwarder that speaks enough TURN, without authentication
    Forward(ForwardArgs),
    /// Run a command in a network namespace of its own, in which the generator's sends cost it less
    Apart(ApartArgs),
}

/// How single packets are sent; runs always go through a UDP socket.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Via {
    /// Through a packet socket where that can be had, otherwise through a UDP socket
    Auto,
    Socket,
    Raw,
}

#[derive(Args)]
pub struct Sending {
    #[arg(long, value_enum, default_value = "auto")]
    via: Via,
    /// Packets of one flow sent back to back with UDP GSO
    #[arg(long, default_value_t = 1)]
    run: usize,
    /// Receive runs joined (UDP GRO), as the server sent them
    #[arg(long)]
    gro: bool,
}

#[derive(Args)]
pub struct ApartArgs {
    #[arg(trailing_var_arg = true, required = true)]
    command: Vec<OsString>,
}

#[derive(Args)]
pub struct Target {
    /// Server address, IPv4
    #[arg(long)]
    server: SocketAddrV4,
    #[arg(long, default_value = "bench")]
    username: String,
    #[arg(long, default_value = "bench")]
    password: String,
    /// Process whose CPU time and memory are the server's
    #[arg(long)]
    server_pid: Option<u32>,
    /// Core to run on
    #[arg(long)]
    core: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Channel,
    Send,
    Binding,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Direction {
    ToPeer,
    ToClient,
}

#[derive(Args)]
pub struct Load {
    #[command(flatten)]
    target: Target,
    #[arg(long, value_enum, default_value = "channel")]
    mode: Mode,
    #[arg(long, value_enum, default_value = "to-peer")]
    direction: Direction,
    #[arg(long, default_value_t = 50)]
    flows: usize,
    /// Application bytes in a packet
    #[arg(long, default_value_t = 200)]
    size: usize,
    #[command(flatten)]
    sending: Sending,
}

#[derive(Args)]
pub struct SearchArgs {
    #[command(flatten)]
    load: Load,
    /// Packets a second to begin with
    #[arg(long, default_value_t = 20_000.0)]
    start: f64,
    #[arg(long, default_value_t = 0.01)]
    max_loss: f64,
    /// Seconds of each step
    #[arg(long, default_value_t = 0.6)]
    step: f64,
    /// Seconds of the last trial, whose figures count
    #[arg(long, default_value_t = 3.0)]
    measure: f64,
    /// Seconds after which the search ends with what it has
    #[arg(long, default_value_t = 25.0)]
    time: f64,
}

#[derive(Args)]
pub struct RateArgs {
    #[command(flatten)]
    load: Load,
    /// Packets a second; without it as many as the generator can
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, default_value_t = 3.0)]
    measure: f64,
    #[arg(long, default_value_t = 0.5)]
    warmup: f64,
}

#[derive(Args)]
pub struct AllocateArgs {
    #[command(flatten)]
    target: Target,
    #[arg(long, default_value_t = 2_000)]
    count: usize,
    /// Set-ups under way at a time
    #[arg(long, default_value_t = SETUP_WINDOW)]
    window: usize,
    /// Seconds after which the measurement fails
    #[arg(long, default_value_t = 60.0)]
    limit: f64,
}

#[derive(Args)]
pub struct SelfArgs {
    #[arg(long, default_value_t = 50)]
    flows: usize,
    #[arg(long, default_value_t = 200)]
    size: usize,
    #[command(flatten)]
    sending: Sending,
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, default_value_t = 3.0)]
    measure: f64,
    #[arg(long)]
    core: Option<usize>,
}

#[derive(Args)]
pub struct ForwardArgs {
    #[arg(long)]
    listen: SocketAddrV4,
    #[arg(long)]
    core: Option<usize>,
}

pub fn run(command: Command) -> Outcome {
    match command {
        Command::Search(args) => run_search(&args),
        Command::Rate(args) => run_rate(&args),
        Command::Allocate(args) => run_allocate(&args),
        Command::Hold(args) => run_hold(&args),
        Command::Itself(args) => run_self(&args),
        Command::Forward(args) => {
            pin_to(args.core)?;
            Ok(forward::serve(args.listen)?)
        }
        Command::Apart(args) => Err(namespace::run_apart(&args.command).into()),
    }
}

fn run_search(args: &SearchArgs) -> Outcome {
    let limits = Limits {
        start: args.start,
        max_loss: args.max_loss,
        step: seconds(args.step)?,
        measure: seconds(args.measure)?,
        time: seconds(args.time)?,
    };
    with_traffic(&args.load, |traffic| print(&search(traffic, limits)?))
}

fn run_rate(args: &RateArgs) -> Outcome {
    let plan = Plan {
        rate: args.rate,
        warmup: seconds(args.warmup)?,
        measure: seconds(args.measure)?,
    };
    with_traffic(&args.load, |traffic| print(&traffic.run(plan)?))
}

/// Sets the flows up, runs `measure`, and releases them.
fn with_traffic(load: &Load, measure: impl FnOnce(&mut Traffic) -> Outcome) -> Outcome {
    check_load(load.flows, load.size, load.sending.run)?;
    let mut session = session(&load.target, load.flows, load.mode == Mode::Channel)?;
    if load.mode != Mode::Binding {
        session.establish(SETUP_WINDOW, SETUP_LIMIT)?;
    }
    let mut traffic = traffic(&session, load)?;
    apply(&load.sending, &mut traffic)?;
    traffic.server_pid = load.target.server_pid;
    let outcome = measure(&mut traffic);
    session.release(SETUP_WINDOW, SETUP_LIMIT)?;
    outcome
}

fn traffic<'a>(session: &'a Session, load: &Load) -> Result<Traffic<'a>, Box<dyn Error>> {
    let (client, peer) = (&session.client, &session.peer);
    if load.mode == Mode::Binding {
        let lanes = session.flows.iter().map(|flow| Lane {
            source: flow.client,
            to: session.server,
            prefix: Vec::new(),
            expected_from: session.server,
            channel: None,
        });
        return Ok(Traffic::new(client, client, lanes.collect(), Shape::Binding, HEAD));
    }
    let relayed = |flow: &Flow| flow.relayed.ok_or("a flow has no relayed address");
    let mut lanes = Vec::with_capacity(session.flows.len());
    for flow in &session.flows {
        lanes.push(match load.direction {
            Direction::ToPeer => Lane {
                source: flow.client,
                to: session.server,
                prefix: prefix(flow, load.size),
                expected_from: relayed(flow)?,
                channel: flow.channel,
            },
            Direction::ToClient => Lane {
                source: *flow.peer.ip(),
                to: relayed(flow)?,
                prefix: Vec::new(),
                expected_from: session.server,
                channel: flow.channel,
            },
        });
    }
    Ok(match (load.direction, load.mode) {
        (Direction::ToPeer, _) => Traffic::new(client, peer, lanes, Shape::Payload, load.size),
        (Direction::ToClient, Mode::Send) => Traffic::new(peer, client, lanes, Shape::DataIndication, load.size),
        (Direction::ToClient, _) => Traffic::new(peer, client, lanes, Shape::ChannelData, load.size),
    })
}

/// What a client puts before its data: a ChannelData header, or a Send indication up to and with the header of DATA.
fn prefix(flow: &Flow, size: usize) -> Vec<u8> {
    if let Some(channel) = flow.channel {
        return channel_header(channel, size).to_vec();
    }
    let mut message = Builder::new(kind::SEND_INDICATION, &[0; 12])
        .xor_address(attr::XOR_PEER_ADDRESS, flow.peer)
        .attribute(attr::DATA, &vec![0; size])
        .finish();
    message.truncate(message.len() - size.next_multiple_of(4));
    message
}

fn run_allocate(args: &AllocateArgs) -> Outcome {
    check_load(args.count, HEAD, 1)?;
    let mut session = session(&args.target, args.count, true)?;
    let cpu = args.target.server_pid.map(cpu_micros).transpose()?;
    let start = Instant::now();
    session.establish(args.window, seconds(args.limit)?)?;
    let elapsed = start.elapsed().as_secs_f64();
    let cpu_after = args.target.server_pid.map(cpu_micros).transpose()?;
    let per_setup = cpu_after
        .zip(cpu)
        .map(|(after, before)| (after - before) as f64 / args.count as f64);
    session.release(SETUP_WINDOW, SETUP_LIMIT)?;
    print(&json!({
        "count": args.count,
        "seconds": elapsed,
        "perSecond": args.count as f64 / elapsed,
        "serverCpuUsPerSetup": per_setup,
    }))
}

fn run_hold(args: &AllocateArgs) -> Outcome {
    check_load(args.count, HEAD, 1)?;
    let pid = args.target.server_pid.ok_or("hold needs --server-pid")?;
    let mut session = session(&args.target, args.count, true)?;
    let before = resident_bytes(pid)?;
    session.establish(args.window, seconds(args.limit)?)?;
    std::thread::sleep(Duration::from_secs(1));
    let after = resident_bytes(pid)?;
    session.release(SETUP_WINDOW, SETUP_LIMIT)?;
    print(&json!({
        "count": args.count,
        "residentBefore": before,
        "residentAfter": after,
        "bytesPerAllocation": (after as f64 - before as f64) / args.count as f64,
    }))
}

fn run_self(args: &SelfArgs) -> Outcome {
    check_load(args.flows, args.size, args.sending.run)?;
    pin_to(args.core)?;
    let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    let (client, peer) = (Endpoint::bind(any)?, Endpoint::bind(any)?);
    let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, peer.local.port());
    let lanes = (0..args.flows as u32).map(client_address).map(|source| Lane {
        source,
        to,
        prefix: Vec::new(),
        expected_from: SocketAddrV4::new(source, client.local.port()),
        channel: None,
    });
    let mut traffic = Traffic::new(&client, &peer, lanes.collect(), Shape::Payload, args.size);
    apply(&args.sending, &mut traffic)?;
    let trial = traffic.run(Plan {
        rate: args.rate,
        warmup: Duration::from_millis(200),
        measure: seconds(args.measure)?,
    })?;
    print(&trial)
}

fn session(target: &Target, flows: usize, with_channels: bool) -> Result<Session, Box<dyn Error>> {
    pin_to(target.core)?;
    let credentials = Credentials {
        username: target.username.clone(),
        password: target.password.clone(),
    };
    Ok(Session::new(target.server, credentials, flows, with_channels)?)
}

fn apply(sending: &Sending, traffic: &mut Traffic) -> Outcome {
    traffic.run = sending.run;
    traffic.raw = match sending.via {
        Via::Socket => None,
        Via::Auto => RawSocket::open().ok(),
        Via::Raw => Some(RawSocket::open().map_err(|error| format!("--via raw: {error}"))?),
    };
    if sending.gro {
        traffic.sink.join_runs()?;
        traffic.joined = true;
    }
    Ok(())
}

fn check_load(flows: usize, size: usize, run: usize) -> Outcome {
    let largest = SLOT - HEADER_LEN - 16;
    if flows == 0 || flows > MAX_FLOWS {
        return Err(format!("--flows {flows}: must be 1 to {MAX_FLOWS}").into());
    }
    if !(HEAD..=largest).contains(&size) {
        return Err(format!("--size {size}: must be {HEAD} to {largest}").into());
    }
    if run == 0 || run > MAX_RUN {
        return Err(format!("--run {run}: must be 1 to {MAX_RUN}").into());
    }
    Ok(())
}

fn pin_to(core: Option<usize>) -> Outcome {
    let Some(core) = core else { return Ok(()) };
    pin(core).map_err(|error| format!("--core {core}: {error}"))?;
    Ok(())
}

fn seconds(value: f64) -> Result<Duration, String> {
    const LONGEST: f64 = 200.0;
    if !(value > 0.0 && value <= LONGEST) {
        return Err(format!("{value} seconds: must be more than 0 and at most {LONGEST}"));
    }
    Ok(Duration::from_secs_f64(value))
}

fn print(result: &impl Serialize) -> Outcome {
    println!("{}", serde_json::to_string(result)?);
    Ok(())
}
