//! A session: commands, packets and time, on the table and on the model, which are to agree after every step. Nothing
//! passes but what the model lets through: by a live allocation and a live permission, within the rate.

use arbitrary::{Arbitrary, Unstructured};

use super::commands::{carry_out, pack};
use super::model::{self, CLIENTS, FromPeer, Model, RELAYS};
use super::reference::repaired;
use super::{Choice, IPS, PORTS, addr};
use crate::addr::{Addr, Ip};
use crate::command::{Command, Commands};
use crate::forward::{self, Form, FromClient, ToPeer};
use crate::table::{self, Allocation, Table, Tuple};

const START: u64 = 1_700_000_000_000;
const MAX_STEPS: usize = 100;
const CHANNELS: [u16; 3] = [0x4000, 0x4001, 0x7fff];
/// In ms; entries may be over from the start.
const LIFETIMES: [u64; 4] = [600_000, 1000, 1, 0];
/// Bytes of application data.
const LENGTHS: [usize; 8] = [0, 1, 3, 4, 100, 1200, 9000, 65_500];
/// In bytes a second: whole bytes a millisecond, for which the model is exact.
const RATES: [Option<u32>; 4] = [None, Some(1000), Some(64_000), Some(0)];

type Peer = (Choice<4>, Choice<4>);

#[derive(Arbitrary, Debug)]
enum Step {
    Bind(Choice<RELAYS>),
    Unbind(Choice<RELAYS>),
    Allocate {
        relay: Choice<RELAYS>,
        client: Choice<CLIENTS>,
        v6: bool,
        lifetime: Choice<4>,
        rate: Choice<4>,
    },
    Permit {
        relay: Choice<RELAYS>,
        ip: Choice<4>,
        wire: Choice<4>,
        lifetime: Choice<4>,
        ports: Option<(Choice<4>, Choice<4>)>,
        except: Option<Choice<4>>,
    },
    Channel {
        relay: Choice<RELAYS>,
        number: Choice<3>,
        peer: Peer,
        wire: Choice<4>,
        lifetime: Choice<4>,
    },
    RevokePermission(Choice<RELAYS>, Choice<4>),
    RevokeChannel(Choice<RELAYS>, Choice<3>),
    Forget(Choice<CLIENTS>),
    Advance(u16),
    ChannelData {
        client: Choice<CLIENTS>,
        number: Choice<3>,
        length: Choice<8>,
        damage: Option<(u8, u8)>,
    },
    Send {
        client: Choice<CLIENTS>,
        peer: Peer,
        length: Choice<8>,
        extra: Extra,
        damage: Option<(u8, u8)>,
    },
    Raw {
        client: Choice<CLIENTS>,
        bytes: Vec<u8>,
    },
    FromPeer {
        relay: Choice<RELAYS>,
        wire: Peer,
        length: Choice<8>,
    },
    ToPeer {
        relay: Choice<RELAYS>,
        peer: Peer,
        length: Choice<8>,
        dont_fragment: bool,
    },
    IcmpError(Choice<RELAYS>, Peer),
}

#[derive(Arbitrary, Debug)]
enum Extra {
    Nothing,
    DontFragment,
    Software,
    SecondPeer(Peer),
    NotUnderstood,
    Fingerprint,
}

pub fn run(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let mut session = Session::default();
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            return;
        }
        let Ok(step) = Step::arbitrary(&mut input) else { return };
        session.take(&step);
        session.compare();
    }
}

#[derive(Default)]
struct Session {
    table: Table,
    model: Model,
    /// Since the start, in ms.
    elapsed: u64,
    generations: Vec<u32>,
}

fn id(relay: usize) -> f64 {
    relay as f64 + 1.0
}

fn tuple(client: usize) -> Tuple {
    Tuple {
        listener: client as u32 % 2,
        remote: Addr::new(IPS[client / 2 * 2], 40_000),
    }
}

impl Session {
    fn now(&self) -> u64 {
        START + self.elapsed
    }

    fn clock(&self) -> f64 {
        self.now() as f64
    }

    fn take(&mut self, step: &Step) {
        let now = self.now();
        match step {
            Step::Bind(relay) => self.bind(relay.0),
            Step::Unbind(relay) => {
                self.apply(&Command::Unbind { relay: id(relay.0) });
                self.model.relays[relay.0] = None;
            }
            Step::Allocate {
                relay,
                client,
                v6,
                lifetime,
                rate,
            } => {
                let (deadline, rate) = (now + LIFETIMES[lifetime.0], RATES[rate.0]);
                let allocation = Allocation {
                    client: tuple(client.0),
                    v6: *v6,
                    deadline: deadline as f64,
                    rate: rate.map(f64::from),
                };
                let relay = relay.0;
                self.apply(&Command::Allocation {
                    relay: id(relay),
                    allocation,
                });
                self.model.assign(relay, (client.0, *v6), deadline, rate, now);
            }
            Step::Permit {
                relay,
                ip,
                wire,
                lifetime,
                ports,
                except,
            } => self.permit(
                relay.0,
                model::Permission {
                    ip: IPS[ip.0],
                    wire: IPS[wire.0],
                    deadline: now + LIFETIMES[lifetime.0],
                    ports: ports.map_or((0, u16::MAX), |(min, max)| (PORTS[min.0], PORTS[max.0])),
                    except: except.map(|port| PORTS[port.0]).into_iter().collect(),
                },
            ),
            Step::Channel {
                relay,
                number,
                peer,
                wire,
                lifetime,
            } => self.channel(
                relay.0,
                CHANNELS[number.0],
                addr(*peer),
                IPS[wire.0],
                LIFETIMES[lifetime.0],
            ),
            Step::RevokePermission(relay, ip) => {
                let (relay, ip) = (relay.0, IPS[ip.0]);
                self.apply(&Command::RevokePermission { relay: id(relay), ip });
                self.model.delete_permission(relay, ip);
            }
            Step::RevokeChannel(relay, number) => {
                let (relay, number) = (relay.0, CHANNELS[number.0]);
                self.apply(&Command::RevokeChannel {
                    relay: id(relay),
                    number,
                });
                self.model.delete_channel(relay, number);
            }
            Step::Forget(client) => {
                self.table.forget_client(tuple(client.0));
                self.model.forget(client.0);
            }
            Step::Advance(ms) => self.elapsed += u64::from(*ms),
            Step::ChannelData {
                client,
                number,
                length,
                damage,
            } => {
                let length = LENGTHS[length.0];
                let mut bytes = [CHANNELS[number.0].to_be_bytes(), (length as u16).to_be_bytes()].concat();
                bytes.resize(bytes.len() + length, 0xda);
                self.client_sends(client.0, &damaged(bytes, *damage));
            }
            Step::Send {
                client,
                peer,
                length,
                extra,
                damage,
            } => {
                let bytes = send(addr(*peer), LENGTHS[length.0], extra);
                self.client_sends(client.0, &damaged(bytes, *damage));
            }
            Step::Raw { client, bytes } => {
                self.client_sends(client.0, bytes);
                self.client_sends(client.0, &repaired(bytes));
            }
            Step::FromPeer { relay, wire, length } => self.peer_sends(relay.0, addr(*wire), LENGTHS[length.0]),
            Step::ToPeer {
                relay,
                peer,
                length,
                dont_fragment,
            } => self.control_sends(relay.0, addr(*peer), LENGTHS[length.0], *dont_fragment),
            Step::IcmpError(relay, wire) => {
                let found = self.table.slot(id(relay.0)).and_then(|slot| self.table.relay(slot));
                let may = found.is_some_and(|found| forward::may_learn_of(found, addr(*wire), self.clock()));
                assert_eq!(may, self.model.may_learn_of(relay.0, addr(*wire), now));
            }
        }
    }

    /// By its packed form, as the control loop's come.
    fn apply(&mut self, command: &Command<'_>) {
        let packed = pack(command);
        let mut commands = Commands::new(&packed);
        let now = self.clock();
        while let Some(command) = commands.next().unwrap() {
            carry_out(&mut self.table, command, now);
        }
    }

    fn bind(&mut self, relay: usize) {
        let was_open = self.table.slot(id(relay)).is_some();
        self.apply(&Command::Bind {
            relay: id(relay),
            local: addr((Choice(0), Choice(0))),
            lease: None,
            counters: None,
        });
        self.model.relays[relay].get_or_insert_default();
        let slot = self.table.slot(id(relay)).unwrap();
        let generation = self.table.relay(slot).unwrap().generation;
        if !was_open {
            // What the kernel still tells of the relay that had the place before is not taken for this one's.
            assert!(!self.generations.contains(&generation));
            self.generations.push(generation);
        }
    }

    fn permit(&mut self, relay: usize, permission: model::Permission) {
        let ports = (permission.ports != (0, u16::MAX)).then_some(permission.ports);
        let same = table::Permission {
            ip: permission.ip,
            wire: permission.wire,
            deadline: permission.deadline as f64,
            ports,
            except_ports: permission.except.clone().into(),
        };
        self.apply(&Command::Permission {
            relay: id(relay),
            permission: same,
        });
        self.model.set_permission(relay, permission);
    }

    fn channel(&mut self, relay: usize, number: u16, peer: Addr, wire: Ip, lifetime: u64) {
        let deadline = self.now() + lifetime;
        let channel = table::Channel {
            number,
            peer,
            wire,
            deadline: deadline as f64,
        };
        self.apply(&Command::Channel {
            relay: id(relay),
            channel,
        });
        let channel = model::Channel {
            number,
            peer,
            wire: Addr::new(wire, peer.port),
            deadline,
        };
        self.model.set_channel(relay, channel);
    }

    fn client_sends(&mut self, client: usize, bytes: &[u8]) {
        let decision = forward::from_client(&self.table, tuple(client), bytes, self.clock());
        let expected = self.model.client_sends(client, bytes, self.now());
        assert_eq!(self.described(decision, bytes), expected);
    }

    fn control_sends(&mut self, relay: usize, to: Addr, length: usize, dont_fragment: bool) {
        let Some(slot) = self.table.slot(id(relay)) else { return };
        let bytes = vec![0xda; length];
        let to_peer = ToPeer {
            relay: slot,
            to,
            data: 0..length,
            dont_fragment,
        };
        let decision = forward::in_name_of_client(&self.table, to_peer, self.clock());
        let now = self.now();
        let expected = self.model.control_sends(relay, to, &bytes, dont_fragment, now);
        assert_eq!(self.described(decision, &bytes), expected);
    }

    fn described(&self, decision: FromClient, bytes: &[u8]) -> model::FromClient {
        let index = |slot| self.table.relay(slot).unwrap().id as usize - 1;
        match decision {
            FromClient::Up => model::FromClient::Up,
            FromClient::Drop(reason, slot) => model::FromClient::Drop(reason, slot.map(index)),
            FromClient::ToPeer(to_peer) => model::FromClient::ToPeer {
                relay: index(to_peer.relay),
                to: to_peer.to,
                data: bytes[to_peer.data].to_vec(),
                dont_fragment: to_peer.dont_fragment,
            },
        }
    }

    fn peer_sends(&mut self, relay: usize, wire: Addr, length: usize) {
        let now = self.now();
        let Some(expected) = self.model.peer_sends(relay, wire, length, now) else {
            return;
        };
        let slot = self.table.slot(id(relay)).unwrap();
        let decision = forward::from_peer(self.table.relay(slot).unwrap(), wire, length, now as f64);
        match (decision, expected) {
            (Err(reason), FromPeer::Drop(expected)) => assert_eq!(reason, expected),
            (Ok((to, Form::ChannelData(number))), FromPeer::ChannelData(client, expected)) => {
                assert_eq!((to, number), (tuple(client), expected));
            }
            (Ok((to, Form::Data(peer))), FromPeer::Data(client, known)) => {
                assert_eq!(to, tuple(client));
                assert!(known.contains(&peer), "{peer:?} is none of {known:?}");
            }
            (decision, expected) => panic!("{decision:?} is not {expected:?}"),
        }
    }

    /// The whole table, by what can be asked of it.
    fn compare(&self) {
        assert_eq!(self.table.len(), self.model.relays.iter().flatten().count());
        let slot = |relay: Option<usize>| relay.map(|relay| self.table.slot(id(relay)).unwrap());
        for client in 0..CLIENTS {
            let owned = [false, true].map(|v6| self.model.relay_of(client, v6));
            assert_eq!(
                [false, true].map(|v6| self.table.relay_of(tuple(client), v6)),
                owned.map(slot)
            );
            assert_eq!(self.table.owns_relay(tuple(client)), owned.iter().any(Option::is_some));
            for number in CHANNELS {
                let relay = self.model.relay_of_channel(client, number);
                assert_eq!(self.table.relay_of_channel(tuple(client), number), slot(relay));
            }
        }
        for (index, expected) in self.model.relays.iter().enumerate() {
            let relay = self.table.slot(id(index)).and_then(|slot| self.table.relay(slot));
            match (relay, expected) {
                (Some(relay), Some(expected)) => compare_relay(relay, expected),
                (relay, expected) => assert_eq!(relay.is_some(), expected.is_some()),
            }
        }
    }
}

fn compare_relay(relay: &table::Relay, expected: &model::Relay) {
    assert_eq!(relay.client, expected.owner.map(|(client, _)| tuple(client)));
    for ip in IPS {
        let permission = relay.permission(ip).map(|one| (one.wire, one.deadline as u64));
        assert_eq!(permission, expected.permission(ip).map(|one| (one.wire, one.deadline)));
        for port in PORTS {
            let number = relay.channel_from(Addr::new(ip, port)).map(|one| one.number);
            assert_eq!(number, expected.channel_from(Addr::new(ip, port)));
        }
    }
    for number in CHANNELS {
        let channel = relay
            .channel(number)
            .map(|one| (one.peer, one.wire, one.deadline as u64));
        let same = expected
            .channel(number)
            .map(|one| (one.peer, one.wire.ip, one.deadline));
        assert_eq!(channel, same);
    }
}

fn send(peer: Addr, length: usize, extra: &Extra) -> Vec<u8> {
    let mut bytes = [&[0, 0x16, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], b"twelve bytes"].concat();
    match extra {
        Extra::DontFragment => put(&mut bytes, 0x1a, &[]),
        Extra::Software => put(&mut bytes, 0x8022, b"x"),
        Extra::NotUnderstood => put(&mut bytes, 0x7777, b"x"),
        Extra::Nothing | Extra::SecondPeer(_) | Extra::Fingerprint => {}
    }
    put_peer(&mut bytes, peer);
    if let Extra::SecondPeer(other) = extra {
        put_peer(&mut bytes, addr(*other));
    }
    put(&mut bytes, 0x13, &vec![0xda; length]);
    if let Extra::Fingerprint = extra {
        put(&mut bytes, 0x8028, &[0; 4]);
    }
    repaired(&bytes)
}

fn put(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn put_peer(bytes: &mut Vec<u8>, peer: Addr) {
    let octets = peer.ip.v6_octets();
    let octets = if peer.ip.is_v6() { &octets[..] } else { &octets[..4] };
    let mut value = vec![0, if peer.ip.is_v6() { 2 } else { 1 }];
    value.extend_from_slice(&(peer.port ^ 0x2112).to_be_bytes());
    value.extend(octets.iter().zip(&bytes[4..20]).map(|(a, b)| a ^ b));
    put(bytes, 0x12, &value);
}

fn damaged(mut bytes: Vec<u8>, damage: Option<(u8, u8)>) -> Vec<u8> {
    let Some((at, flip)) = damage else { return bytes };
    match bytes.get_mut(usize::from(at)) {
        Some(byte) => *byte ^= flip,
        None => drop(bytes.pop()),
    }
    bytes
}
