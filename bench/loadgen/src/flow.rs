//! One client of the server under test: its way from nothing to a relayed address with a permission and a channel.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::stun::{Builder, Message, TransactionId, attr, kind, long_term_key};

const FIRST_CLIENT: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);
const FIRST_PEER: Ipv4Addr = Ipv4Addr::new(127, 2, 0, 1);
/// As many addresses as 127.1.0.0/16 has after the first.
pub const MAX_FLOWS: usize = 65_000;

const UDP: u8 = 17;
const UNAUTHENTICATED: u16 = 401;
const ALLOCATION_MISMATCH: u16 = 437;
const STALE_NONCE: u16 = 438;
const MAX_CHALLENGES: u8 = 4;

pub struct Credentials {
    pub username: String,
    pub password: String,
}

/// What a server challenges with (RFC 8489, section 9.2), and the key that follows from it.
#[derive(Clone)]
struct Challenge {
    realm: Vec<u8>,
    nonce: Vec<u8>,
    key: [u8; 16],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Allocate,
    CreatePermission,
    ChannelBind,
    Ready,
    /// Once more what was set up, as clients do before it ends.
    RenewAllocation,
    RenewPermission,
    RenewChannel,
    Release,
    Released,
}

impl Step {
    pub fn is_request(self) -> bool {
        !matches!(self, Step::Ready | Step::Released)
    }
}

pub struct Flow {
    index: u32,
    pub client: Ipv4Addr,
    pub peer: SocketAddrV4,
    /// None for Send and Data indications.
    pub channel: Option<u16>,
    pub relayed: Option<SocketAddrV4>,
    pub step: Step,
    challenge: Option<Challenge>,
    challenges: u8,
    /// Grows with each new request, so that a late answer to an earlier one is not taken for its own.
    request: u32,
}

impl Flow {
    pub fn new(index: u32, peer_port: u16, with_channel: bool) -> Self {
        Self {
            index,
            client: client_address(index),
            peer: SocketAddrV4::new(Ipv4Addr::from_bits(FIRST_PEER.to_bits() + index), peer_port),
            channel: with_channel.then_some(0x4000 + (index % 0x1000) as u16),
            relayed: None,
            step: Step::Allocate,
            challenge: None,
            challenges: 0,
            request: 0,
        }
    }

    /// The flow whose request this transaction belongs to.
    pub fn index_of(transaction: &TransactionId) -> usize {
        let [a, b, c, d, ..] = *transaction;
        u32::from_be_bytes([a, b, c, d]) as usize
    }

    fn transaction(&self) -> TransactionId {
        let mut id = [0xB5; 12];
        id[..4].copy_from_slice(&self.index.to_be_bytes());
        id[4..8].copy_from_slice(&self.request.to_be_bytes());
        id
    }

    /// The request of the current step; None where the step has none. The same bytes until an answer moves the flow.
    pub fn request(&self, credentials: &Credentials) -> Option<Vec<u8>> {
        let id = self.transaction();
        let builder = match self.step {
            Step::Allocate => Builder::new(kind::ALLOCATE, &id).attribute(attr::REQUESTED_TRANSPORT, &[UDP, 0, 0, 0]),
            Step::CreatePermission | Step::RenewPermission => {
                Builder::new(kind::CREATE_PERMISSION, &id).xor_address(attr::XOR_PEER_ADDRESS, self.peer)
            }
            Step::ChannelBind | Step::RenewChannel => {
                let [high, low] = self.channel?.to_be_bytes();
                Builder::new(kind::CHANNEL_BIND, &id)
                    .attribute(attr::CHANNEL_NUMBER, &[high, low, 0, 0])
                    .xor_address(attr::XOR_PEER_ADDRESS, self.peer)
            }
            Step::RenewAllocation => Builder::new(kind::REFRESH, &id),
            Step::Release => Builder::new(kind::REFRESH, &id).attribute(attr::LIFETIME, &[0; 4]),
            Step::Ready | Step::Released => return None,
        };
        let Some(challenge) = &self.challenge else {
            return Some(builder.finish());
        };
        let message = builder
            .attribute(attr::USERNAME, credentials.username.as_bytes())
            .attribute(attr::REALM, &challenge.realm)
            .attribute(attr::NONCE, &challenge.nonce)
            .integrity(&challenge.key);
        Some(message.finish())
    }

    /// Takes an answer. True when it moved the flow on; an error that ends the flow is told as text.
    pub fn on_response(&mut self, message: &Message, credentials: &Credentials) -> Result<bool, String> {
        if message.transaction != self.transaction() || !self.step.is_request() {
            return Ok(false);
        }
        if kind::is_error(message.kind) {
            self.on_error(message, credentials)?;
        } else if kind::is_success(message.kind) {
            self.on_success(message)?;
        } else {
            return Ok(false);
        }
        self.request += 1;
        Ok(true)
    }

    pub fn release(&mut self) {
        self.begin(Step::Release);
    }

    /// Begins with a further request, where the one before is answered. False where it is not.
    pub fn begin(&mut self, step: Step) -> bool {
        let ready = self.step == Step::Ready || (self.step == Step::Allocate && step == Step::Allocate);
        if ready {
            self.step = step;
            self.challenges = 0;
        }
        ready
    }

    /// Whether the next request is sent without credentials, to be asked for them.
    pub fn is_stranger(&self) -> bool {
        self.challenge.is_none()
    }

    fn on_success(&mut self, message: &Message) -> Result<(), String> {
        self.step = match self.step {
            Step::Allocate => {
                let relayed = message.address(attr::XOR_RELAYED_ADDRESS);
                self.relayed = Some(relayed.ok_or("Allocate: no XOR-RELAYED-ADDRESS in the response")?);
                Step::CreatePermission
            }
            Step::CreatePermission if self.channel.is_some() => Step::ChannelBind,
            Step::Release => Step::Released,
            _ => Step::Ready,
        };
        Ok(())
    }

    fn on_error(&mut self, message: &Message, credentials: &Credentials) -> Result<(), String> {
        let (code, reason) = message.error().unwrap_or((0, "no ERROR-CODE".to_owned()));
        let challenged = (code == UNAUTHENTICATED && self.challenge.is_none()) || code == STALE_NONCE;
        if self.step == Step::Release && code == ALLOCATION_MISMATCH {
            // The answer to the first was lost, and this one is to its retransmission.
            self.step = Step::Released;
            return Ok(());
        }
        let (Some(realm), Some(nonce)) = (message.get(attr::REALM), message.get(attr::NONCE)) else {
            return Err(format!("{:?}: {code} {reason}", self.step));
        };
        if !challenged || self.challenges == MAX_CHALLENGES {
            return Err(format!("{:?}: {code} {reason}", self.step));
        }
        self.challenges += 1;
        self.challenge = Some(Challenge {
            key: long_term_key(
                &credentials.username,
                &String::from_utf8_lossy(realm),
                &credentials.password,
            ),
            realm: realm.to_vec(),
            nonce: nonce.to_vec(),
        });
        Ok(())
    }
}

/// The address that flow `index` sends from.
pub fn client_address(index: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST_CLIENT.to_bits() + index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stun::header;

    fn credentials() -> Credentials {
        Credentials {
            username: "bench".into(),
            password: "secret".into(),
        }
    }

    fn challenge(request: &[u8], code: [u8; 2], nonce: &[u8]) -> Vec<u8> {
        let request = Message::parse(request).unwrap();
        Builder::new(request.kind | 0x0110, &request.transaction)
            .attribute(attr::ERROR_CODE, &[0, 0, code[0], code[1]])
            .attribute(attr::REALM, b"bench.example")
            .attribute(attr::NONCE, nonce)
            .finish()
    }

    fn success(request: &[u8], relayed: Option<SocketAddrV4>) -> Vec<u8> {
        let request = Message::parse(request).unwrap();
        let builder = Builder::new(kind::success_of(request.kind), &request.transaction);
        match relayed {
            Some(address) => builder.xor_address(attr::XOR_RELAYED_ADDRESS, address).finish(),
            None => builder.finish(),
        }
    }

    fn answer(flow: &mut Flow, bytes: &[u8]) -> Result<bool, String> {
        flow.on_response(&Message::parse(bytes).unwrap(), &credentials())
    }

    #[test]
    fn goes_from_a_challenge_to_a_channel_and_back() {
        let mut flow = Flow::new(3, 9000, true);
        let relayed = "127.0.0.1:50000".parse().unwrap();
        let request = flow.request(&credentials()).unwrap();
        assert!(Message::parse(&request).unwrap().get(attr::USERNAME).is_none());
        assert_eq!(answer(&mut flow, &challenge(&request, [4, 1], b"n1")), Ok(true));

        let request = flow.request(&credentials()).unwrap();
        assert_eq!(Message::parse(&request).unwrap().get(attr::NONCE), Some(&b"n1"[..]));
        assert_eq!(answer(&mut flow, &challenge(&request, [4, 38], b"n2")), Ok(true));

        for (step, relayed) in [
            (Step::Allocate, Some(relayed)),
            (Step::CreatePermission, None),
            (Step::ChannelBind, None),
        ] {
            assert_eq!(flow.step, step);
            let request = flow.request(&credentials()).unwrap();
            assert_eq!(Message::parse(&request).unwrap().get(attr::NONCE), Some(&b"n2"[..]));
            assert_eq!(answer(&mut flow, &success(&request, relayed)), Ok(true));
        }
        assert_eq!(flow.step, Step::Ready);
        assert_eq!(flow.relayed, Some(relayed));
        assert!(flow.request(&credentials()).is_none());

        flow.release();
        let request = flow.request(&credentials()).unwrap();
        assert_eq!(answer(&mut flow, &success(&request, None)), Ok(true));
        assert_eq!(flow.step, Step::Released);
    }

    #[test]
    fn a_second_401_ends_it_with_the_servers_words() {
        let mut flow = Flow::new(0, 9000, false);
        let request = flow.request(&credentials()).unwrap();
        answer(&mut flow, &challenge(&request, [4, 1], b"n1")).unwrap();
        let request = flow.request(&credentials()).unwrap();
        assert_eq!(
            answer(&mut flow, &challenge(&request, [4, 1], b"n2")),
            Err("Allocate: 401 ".to_owned())
        );
    }

    #[test]
    fn a_release_is_done_when_its_allocation_is_gone_already() {
        let mut flow = Flow::new(0, 9000, true);
        flow.step = Step::Ready;
        flow.release();
        let request = flow.request(&credentials()).unwrap();
        assert_eq!(answer(&mut flow, &challenge(&request, [4, 37], b"n1")), Ok(true));
        assert_eq!(flow.step, Step::Released);
    }

    #[test]
    fn answers_to_other_requests_do_not_move_it() {
        let mut flow = Flow::new(0, 9000, false);
        let stranger = header(kind::success_of(kind::ALLOCATE), 0, &[0xFF; 12]);
        assert_eq!(answer(&mut flow, &stranger), Ok(false));
        assert_eq!(flow.step, Step::Allocate);
    }
}
