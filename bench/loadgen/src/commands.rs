//! The command line: each command runs one measurement and prints one JSON object.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use crate::args::{
    AllocateArgs, CallArgs, ChurnArgs, Command, Direction, Load, Mode, PATIENCE, RateArgs, RestoreArgs, RushArgs,
    SETUP_WINDOW, SearchArgs, SelfArgs, Sending, Target, Via,
};
use crate::call::{arrivals, timetable};
use crate::delay;
use crate::endpoint::Endpoint;
use crate::flow::{Credentials, Flow, MAX_FLOWS, client_address};
use crate::forward;
use crate::namespace;
use crate::play::play;
use crate::process::{cpu_micros_of, pin, resident_bytes};
use crate::raw::RawSocket;
use crate::restore::restore;
use crate::rush::rush;
use crate::search::{Limits, search};
use crate::send::{MAX_RUN, SLOT};
use crate::session::Session;
use crate::stun::{Builder, HEADER_LEN, attr, channel_header, kind};
use crate::tag::HEAD;
use crate::traffic::{Lane, Shape, Traffic};
use crate::trial::{Plan, Totals};

const SETUP_LIMIT: Duration = Duration::from_secs(60);
/// A server that is offered more than it can take loses requests too, and none may be given up: its state would stay.
const CHURN_ATTEMPTS: u8 = 100;
/// Of a rush, when its clients give all back.
const RELEASE_WINDOW: usize = 200;
const FIRST_PACKETS: Plan = Plan {
    rate: Some(2_000.0),
    warmup: Duration::from_millis(1),
    measure: Duration::from_millis(300),
    patience: Duration::from_millis(100),
};

type Outcome = Result<(), Box<dyn Error>>;

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
        Command::Call(args) => run_call(&args),
        Command::Restore(args) => run_restore(&args),
        Command::Delay(args) => {
            pin_to(args.core)?;
            Ok(delay::serve(
                args.listen,
                args.to,
                Duration::from_micros(args.microseconds),
            )?)
        }
        Command::Churn(args) => run_churn(&args),
        Command::Rush(args) => run_rush(&args),
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
    let (found, _) = with_traffic(&args.load, |traffic| Ok(search(traffic, limits)?))?;
    print(&found)
}

fn run_rate(args: &RateArgs) -> Outcome {
    let plan = Plan {
        rate: args.rate,
        warmup: seconds(args.warmup)?,
        measure: seconds(args.measure)?,
        patience: seconds(args.patience)?,
    };
    let ((trial, totals), session) = with_traffic(&args.load, |traffic| Ok((traffic.run(plan)?, traffic.totals())))?;
    print(&json!({
        "trial": trial,
        "allocations": args.load.flows,
        "requests": session.requests,
        "socketDrops": session.drops()?,
        "totals": totals,
    }))
}

/// Sets the flows up, runs `measure`, and releases them.
fn with_traffic<T>(
    load: &Load,
    measure: impl FnOnce(&mut Traffic) -> Result<T, Box<dyn Error>>,
) -> Result<(T, Session), Box<dyn Error>> {
    check_load(load.flows, load.size, load.sending.run)?;
    let mut session = session(&load.target, load.flows, load.mode == Mode::Channel)?;
    if load.mode != Mode::Binding {
        session.establish(SETUP_WINDOW, SETUP_LIMIT)?;
    }
    if load.enter.is_some() {
        // Whoever is there learns whose packets these are, and their owner where to send the answers.
        traffic(&session, load, Direction::ToPeer)?.run(FIRST_PACKETS)?;
    }
    let mut traffic = traffic(&session, load, load.direction)?;
    apply(&load.sending, &mut traffic)?;
    traffic.server_pids.clone_from(&load.target.server_pid);
    let measured = measure(&mut traffic);
    session.release(SETUP_WINDOW, SETUP_LIMIT)?;
    Ok((measured?, session))
}

fn traffic<'a>(session: &'a Session, load: &Load, direction: Direction) -> Result<Traffic<'a>, Box<dyn Error>> {
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
    let enter = load.enter.unwrap_or(session.server);
    let mut lanes = Vec::with_capacity(session.flows.len());
    for flow in &session.flows {
        lanes.push(match direction {
            Direction::ToPeer => Lane {
                source: flow.client,
                to: enter,
                prefix: prefix(flow, load.size),
                expected_from: relayed(flow)?,
                channel: flow.channel,
            },
            Direction::ToClient => Lane {
                source: *flow.peer.ip(),
                to: relayed(flow)?,
                prefix: Vec::new(),
                expected_from: enter,
                channel: flow.channel,
            },
        });
    }
    Ok(match (direction, load.mode) {
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

/// Counts everything that it did, so that a server's own counters can be held against it.
fn run_churn(args: &ChurnArgs) -> Outcome {
    let load = &args.load;
    check_load(load.flows, load.size, load.sending.run)?;
    let (hold, deadline) = (seconds(args.hold)?, Instant::now() + seconds(args.time)?);
    let mut totals = Totals::default();
    let (mut cycles, mut requests, mut drops) = (0u64, 0u64, 0u32);
    while Instant::now() < deadline {
        let mut session = session(&load.target, load.flows, load.mode == Mode::Channel)?;
        session.attempts = CHURN_ATTEMPTS;
        session.establish(args.window, SETUP_LIMIT)?;
        let mut traffic = traffic(&session, load, load.direction)?;
        apply(&load.sending, &mut traffic)?;
        traffic.run(Plan {
            rate: Some(args.rate),
            warmup: Duration::ZERO,
            measure: hold,
            patience: seconds(args.patience)?,
        })?;
        totals += traffic.totals();
        session.release(args.window, SETUP_LIMIT)?;
        requests += session.requests;
        drops += session.drops()?;
        cycles += 1;
    }
    let allocations = cycles * load.flows as u64;
    print(&json!({ "allocations": allocations, "requests": requests, "socketDrops": drops, "totals": totals }))
}

fn run_rush(args: &RushArgs) -> Outcome {
    check_load(args.count, HEAD, 1)?;
    let limit = seconds(args.limit)?;
    let mut session = session(&args.target, args.count, false)?;
    let myself = [std::process::id()];
    let cpu: u64 = cpu_micros_of(&myself)?.iter().sum();
    let start = Instant::now();
    let rushed = rush(&mut session, limit);
    let wall = start.elapsed().as_micros() as f64;
    let spent = cpu_micros_of(&myself)?.iter().sum::<u64>() - cpu;
    let drops = session.drops()?;
    session.release(RELEASE_WINDOW, SETUP_LIMIT)?;
    print(&json!({ "rushed": rushed, "busy": spent as f64 / wall, "socketDrops": drops }))
}

fn run_allocate(args: &AllocateArgs) -> Outcome {
    check_load(args.count, HEAD, 1)?;
    let mut session = session(&args.target, args.count, true)?;
    let pids = &args.target.server_pid;
    let cpu: u64 = cpu_micros_of(pids)?.iter().sum();
    let start = Instant::now();
    let played = match args.rate {
        Some(rate) if rate > 0.0 => {
            let plan = arrivals(args.count, rate);
            Some(play(&mut session, &plan, seconds(args.limit)?)?)
        }
        Some(rate) => return Err(format!("--rate {rate}: must be more than 0").into()),
        None => {
            session.establish(args.window, seconds(args.limit)?)?;
            None
        }
    };
    let elapsed = start.elapsed().as_secs_f64();
    let cpu_after: u64 = cpu_micros_of(pids)?.iter().sum();
    let per_setup = (!pids.is_empty()).then(|| (cpu_after - cpu) as f64 / args.count as f64);
    session.release(SETUP_WINDOW, SETUP_LIMIT)?;
    print(&json!({
        "count": args.count,
        "seconds": elapsed,
        "perSecond": args.count as f64 / elapsed,
        "serverCpuUsPerSetup": per_setup,
        "latencyUs": played.map(|played| played.latency_us),
    }))
}

/// Counts requests and packets, so that what they cost the server's own servers can be told by the call.
fn run_call(args: &CallArgs) -> Outcome {
    check_load(args.count, HEAD, 1)?;
    let (time, spread) = (seconds(args.time)?, seconds(args.spread)?);
    let mut session = session(&args.target, args.count, true)?;
    let plan = timetable(args.count, time, spread, args.packets);
    let played = play(&mut session, &plan, time + spread + SETUP_LIMIT)?;
    print(&json!({ "count": args.count, "requests": session.requests, "played": played }))
}

fn run_restore(args: &RestoreArgs) -> Outcome {
    check_load(args.count, HEAD, 1)?;
    let [pid] = args.target.server_pid[..] else {
        return Err("restore needs one --server-pid".into());
    };
    let mut session = session(&args.target, args.count, true)?;
    session.establish(SETUP_WINDOW, SETUP_LIMIT)?;
    // What is written behind the client's back is written.
    std::thread::sleep(Duration::from_secs(2));
    let restored = restore(&session, pid, args.rate, seconds(args.limit)?)?;
    session.release(SETUP_WINDOW, SETUP_LIMIT)?;
    print(&restored)
}

fn run_hold(args: &AllocateArgs) -> Outcome {
    check_load(args.count, HEAD, 1)?;
    let [pid] = args.target.server_pid[..] else {
        return Err("hold needs one --server-pid".into());
    };
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
        patience: seconds(PATIENCE)?,
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
    const LONGEST: f64 = 900.0;
    if !(value > 0.0 && value <= LONGEST) {
        return Err(format!("{value} seconds: must be more than 0 and at most {LONGEST}"));
    }
    Ok(Duration::from_secs_f64(value))
}

fn print(result: &impl Serialize) -> Outcome {
    println!("{}", serde_json::to_string(result)?);
    Ok(())
}
