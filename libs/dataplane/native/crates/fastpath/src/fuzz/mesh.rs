//! What relays seal for each other, beside a model of who knows whom under which secrets: a datagram opens at the relay that it
//! was sealed for, once, as it was; whatever else arrives opens nowhere. Frames are read as they are written.

use std::collections::{HashMap, HashSet};

use arbitrary::{Arbitrary, Unstructured};

use super::{Choice, addr};
use crate::addr::{Addr, Ip};
use crate::counters::Drop;
use crate::mesh::frame::{ClientFrame, Frame, Head};
use crate::mesh::seal::{Header, Instance, KEY, SealKey};
use crate::mesh::{Mesh, MeshOptions};
use crate::socket::Buffers;

const RELAYS: usize = 3;
const SECRETS: usize = 3;
/// Two secrets of a fleet may have the same.
const KEY_IDS: [u8; SECRETS] = [7, 7, 9];
const WORKERS: usize = 2;
const LENGTHS: [usize; 4] = [0, 1, 1200, 65_000];
const MAX_STEPS: usize = 60;
/// How far below the highest counter one may be (RFC 6479).
const REACH: u64 = 31 * 64;

type Who = Choice<RELAYS>;

#[derive(Arbitrary, Debug)]
enum Step {
    Register {
        who: Who,
        whom: Who,
        secrets: [bool; SECRETS],
    },
    Forget {
        who: Who,
        whom: Who,
    },
    Rotate {
        who: Who,
        secret: Choice<SECRETS>,
    },
    Seal {
        from: Who,
        to: Who,
        worker: Choice<WORKERS>,
        frame: Contents,
        length: Choice<4>,
    },
    /// Datagrams that get lost.
    Lose {
        from: Who,
        to: Who,
        worker: Choice<WORKERS>,
        count: Choice<3000>,
    },
    Deliver {
        which: u8,
        to: Who,
        damage: Option<Damage>,
    },
    Raw {
        to: Who,
        bytes: Vec<u8>,
    },
}

#[derive(Arbitrary, Debug)]
enum Contents {
    Client {
        reply: bool,
        frontend: u32,
        remote: (Choice<4>, Choice<4>),
    },
    Peer {
        relayed: (Choice<4>, Choice<4>),
        peer: (Choice<4>, Choice<4>),
    },
    Control,
}

#[derive(Arbitrary, Debug)]
enum Damage {
    Flip { at: u16, mask: u8 },
    Cut(u16),
    Grow(u8),
}

struct Sealed {
    bytes: Vec<u8>,
    header: Header,
    from: usize,
    to: usize,
    secret: usize,
    contents: Vec<u8>,
}

/// What a relay knows of another.
#[derive(Default)]
struct Known {
    secrets: [bool; SECRETS],
    highest: HashMap<u8, u64>,
    taken: HashSet<(u8, u64)>,
}

impl Known {
    fn is_fresh(&self, worker: u8, counter: u64) -> bool {
        self.highest.get(&worker).is_none_or(|highest| {
            counter > *highest || (highest - counter < REACH && !self.taken.contains(&(worker, counter)))
        })
    }

    fn take(&mut self, worker: u8, counter: u64) {
        self.taken.insert((worker, counter));
        let highest = self.highest.entry(worker).or_insert(counter);
        *highest = counter.max(*highest);
    }
}

pub fn run(input: &[u8]) {
    check_frame(input);
    let mut world = World::new();
    let mut input = Unstructured::new(input);
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        let Ok(step) = input.arbitrary() else { break };
        world.step(step);
    }
}

struct World {
    relays: [Mesh; RELAYS],
    /// The secret that each seals with.
    secrets: [usize; RELAYS],
    known: [[Option<Known>; RELAYS]; RELAYS],
    sealed: Vec<Sealed>,
}

impl World {
    fn new() -> Self {
        Self {
            relays: std::array::from_fn(open),
            secrets: [0; RELAYS],
            known: Default::default(),
            sealed: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Register {
                who: Choice(who),
                whom: Choice(whom),
                secrets,
            } => {
                let keys = (0..SECRETS).filter(|secret| secrets[*secret]);
                let keys = keys.map(|secret| key(secret, whom)).collect();
                let at = Addr::new(Ip::V4_LOOPBACK, 1000 + whom as u16);
                self.relays[who].register(id(whom), instance(whom), at, keys);
                if who != whom {
                    self.known[who][whom].get_or_insert_default().secrets = secrets;
                }
            }
            Step::Forget {
                who: Choice(who),
                whom: Choice(whom),
            } => {
                self.relays[who].forget(id(whom));
                self.known[who][whom] = None;
            }
            Step::Rotate {
                who: Choice(who),
                secret: Choice(secret),
            } => {
                self.secrets[who] = secret;
                self.relays[who].set_keys([key(secret, who)].into());
            }
            Step::Seal {
                from: Choice(from),
                to: Choice(to),
                worker: Choice(worker),
                frame,
                length: Choice(length),
            } => {
                let Some((head, expected)) = head_of(&frame, LENGTHS[length]) else {
                    return;
                };
                let data = vec![worker as u8; LENGTHS[length]];
                let contents = [head.bytes(), &data].concat();
                assert_eq!(Frame::read(&contents), Some(expected));
                if let Some(bytes) = self.seal(from, to, worker, &[head.bytes(), &data]) {
                    let header = Header::read(&bytes).unwrap();
                    let secret = self.secrets[from];
                    self.sealed.push(Sealed {
                        bytes,
                        header,
                        from,
                        to,
                        secret,
                        contents,
                    });
                }
            }
            Step::Lose {
                from: Choice(from),
                to: Choice(to),
                worker: Choice(worker),
                count: Choice(count),
            } => {
                for _ in 0..count {
                    if self.seal(from, to, worker, &[b"lost"]).is_none() {
                        break;
                    }
                }
            }
            Step::Deliver {
                which,
                to: Choice(to),
                damage,
            } => {
                if !self.sealed.is_empty() {
                    self.deliver(usize::from(which) % self.sealed.len(), to, damage.as_ref());
                }
            }
            Step::Raw {
                to: Choice(to),
                mut bytes,
            } => {
                check_frame(&bytes);
                assert!(self.relays[to].open_datagram(&mut bytes).is_err());
            }
        }
    }

    fn seal(&self, from: usize, to: usize, worker: usize, parts: &[&[u8]]) -> Option<Vec<u8>> {
        let mesh = &self.relays[from];
        let peer = mesh.peer(mesh.peer_by_id(id(to))?)?;
        let mut out = b"before".to_vec();
        assert!(mesh.seal(&mut out, worker, peer, parts));
        Some(out.split_off(6))
    }

    fn deliver(&mut self, which: usize, to: usize, damage: Option<&Damage>) {
        let Self {
            relays, known, sealed, ..
        } = self;
        let Sealed {
            bytes,
            header,
            from,
            to: meant_for,
            secret,
            contents,
        } = &sealed[which];
        let mut datagram = bytes.clone();
        let whole = damage.is_none_or(|damage| !spoil(&mut datagram, damage));
        let opened = relays[to].open_datagram(&mut datagram);
        let opened = opened.map(|(peer, frame)| (peer.id, frame));
        if !whole {
            assert!(opened.is_err());
            return;
        }
        let Some(known) = &mut known[to][*from] else {
            assert_eq!(opened, Err(Drop::MeshUnknown));
            return;
        };
        if !known.is_fresh(header.worker, header.counter) {
            assert_eq!(opened, Err(Drop::MeshReplay));
        } else if to != *meant_for || !known.secrets[*secret] {
            assert_eq!(opened, Err(Drop::MeshAuth));
        } else {
            known.take(header.worker, header.counter);
            let (peer, frame) = opened.unwrap();
            assert_eq!((peer, &datagram[frame]), (id(*from), &contents[..]));
        }
    }
}

/// Whether anything is different.
fn spoil(datagram: &mut Vec<u8>, damage: &Damage) -> bool {
    let length = datagram.len();
    match *damage {
        Damage::Flip { at, mask } => {
            datagram[usize::from(at) % length] ^= mask;
            mask != 0
        }
        Damage::Cut(to) => {
            datagram.truncate(usize::from(to) % length);
            true
        }
        Damage::Grow(by) => {
            datagram.resize(length + usize::from(by), by);
            by != 0
        }
    }
}

fn id(relay: usize) -> f64 {
    1.0 + relay as f64
}

fn instance(relay: usize) -> Instance {
    [relay as u8 + 1; 16]
}

fn key(secret: usize, relay: usize) -> SealKey {
    SealKey::new(KEY_IDS[secret], &[(16 * secret + relay) as u8; KEY]).unwrap()
}

fn open(relay: usize) -> Mesh {
    let options = MeshOptions {
        local: Addr::new(Ip::V4_LOOPBACK, 0),
        instance: instance(relay),
        keys: [key(0, relay)].into(),
        frontends: Vec::new(),
        shared_ips: Vec::new(),
        max_foreign: 1,
        max_paths: 1,
    };
    let buffers = Buffers {
        receive: 4096,
        send: 4096,
    };
    Mesh::open(options, 1, buffers).unwrap()
}

/// None for addresses of two families, which no frame has.
fn head_of(contents: &Contents, length: usize) -> Option<(Head, Frame)> {
    Some(match *contents {
        Contents::Client {
            reply,
            frontend,
            remote,
        } => {
            let kind = if reply { ClientFrame::Reply } else { ClientFrame::Packet };
            let remote = addr(remote);
            let head = Head::client(kind, frontend, remote);
            let at = head.bytes().len();
            (
                head,
                Frame::Client {
                    kind,
                    frontend,
                    remote,
                    message: at..at + length,
                },
            )
        }
        Contents::Peer { relayed, peer } => {
            let (relayed, peer) = (addr(relayed), addr(peer));
            if relayed.ip.is_v6() != peer.ip.is_v6() {
                return None;
            }
            let head = Head::peer(relayed, peer);
            let at = head.bytes().len();
            (
                head,
                Frame::Peer {
                    relayed,
                    peer,
                    data: at..at + length,
                },
            )
        }
        Contents::Control => (Head::control(), Frame::Control { data: 1..1 + length }),
    })
}

/// Any bytes as a frame: there is one exactly where there are enough of them, and it is written as it was read.
fn check_frame(bytes: &[u8]) {
    let ip = if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        16
    } else {
        4
    };
    let least = match bytes.first() {
        Some(1 | 2 | 0x81 | 0x82) => Some(1 + 2 + 4 + ip),
        Some(3 | 0x83) => Some(1 + 2 + 2 + 2 * ip),
        Some(4) => Some(1),
        _ => None,
    };
    let frame = Frame::read(bytes);
    assert_eq!(frame.is_some(), least.is_some_and(|least| bytes.len() >= least));
    let (head, rest) = match frame {
        None => return,
        Some(Frame::Client {
            kind,
            frontend,
            remote,
            message,
        }) => (Head::client(kind, frontend, remote), message),
        Some(Frame::Peer { relayed, peer, data }) => (Head::peer(relayed, peer), data),
        Some(Frame::Control { data }) => (Head::control(), data),
    };
    assert_eq!([head.bytes(), &bytes[rest]].concat(), bytes);
}
