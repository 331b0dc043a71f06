//! What waits to be sent, beside a kernel that refuses what it likes: every datagram is sent once and as it was given, or
//! told to be lost, in their order.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::OnceLock;

use arbitrary::{Arbitrary, Unstructured};

use super::{Choice, IPS, PORTS};
use crate::addr::Addr;
use crate::kernel::{self, Fault, Kernel, Sent};
use crate::outbox::{Datagram, Outbox, Outcome, Piece};

const LENGTHS: [usize; 8] = [0, 1, 3, 100, 101, 1200, 1401, 60_000];
const CLASSES: [u8; 3] = [0, 46 << 2, 0xff];
const ERRORS: [i32; 8] = [
    libc::EAGAIN,
    libc::ENOBUFS,
    libc::EINTR,
    libc::ECONNREFUSED,
    libc::EIO,
    libc::EINVAL,
    libc::EMSGSIZE,
    libc::EPERM,
];
const MAX_DATAGRAMS: usize = 200;
/// What the received pieces are pieces of.
static RECEIVED: OnceLock<Vec<u8>> = OnceLock::new();

#[derive(Arbitrary, Debug)]
struct Input {
    faults: Vec<Option<Refusal>>,
    no_gso: Option<bool>,
    rounds: Vec<Vec<One>>,
}

#[derive(Arbitrary, Debug)]
enum Refusal {
    Error(Choice<8>),
    Short(u8),
}

#[derive(Arbitrary, Debug)]
struct One {
    to: (Choice<4>, Choice<2>),
    relay: Option<Choice<2>>,
    length: Choice<8>,
    form: Form,
    class: Choice<3>,
    dont_fragment: bool,
    /// More of the same.
    times: Choice<80>,
}

#[derive(Arbitrary, Debug)]
enum Form {
    Whole,
    Header,
    HeaderAndPadding,
}

pub fn run(input: &[u8]) {
    let Ok(input) = Input::arbitrary(&mut Unstructured::new(input)) else {
        return;
    };
    let mut kernel = Kernel {
        faults: input.faults.iter().map(fault).collect(),
        no_gso: input
            .no_gso
            .map(|offload| if offload { libc::EIO } else { libc::EINVAL }),
        ..Kernel::default()
    };
    let received = RECEIVED.get_or_init(|| (0..=u16::MAX).map(|i| (i % 251) as u8).collect());
    let socket = File::open("/dev/null").unwrap();
    let mut outbox = Outbox::default();
    for round in &input.rounds {
        let mut given = Vec::new();
        for one in round {
            for _ in 0..=one.times.0 {
                if given.len() < MAX_DATAGRAMS {
                    let datagram = push(&mut outbox, one, given.len(), received);
                    given.push(datagram);
                }
            }
        }
        let mut outcomes = Vec::new();
        let mut payload = 0;
        kernel = kernel::with(kernel, || {
            outbox.send(socket.as_fd(), 0, received, |message, outcome| {
                outcomes.extend((0..message.segments).map(|_| outcome));
                payload += message.payload;
            });
        });
        outbox.clear();
        assert!(outbox.is_empty());
        assert_eq!(outcomes.len(), given.len());
        assert_eq!(payload, given.iter().map(|(_, payload)| payload).sum());
        let sent = given
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| **outcome == Outcome::Sent);
        let sent: Vec<&Sent> = sent.map(|((datagram, _), _)| datagram).collect();
        assert!(kernel.sent.iter().eq(sent), "what was sent is not what was given");
        kernel.sent.clear();
    }
}

fn fault(refusal: &Option<Refusal>) -> Fault {
    match refusal {
        None => Fault::None,
        Some(Refusal::Error(error)) => Fault::Refuse(ERRORS[error.0]),
        Some(Refusal::Short(most)) => Fault::Short(usize::from(*most)),
    }
}

/// Returns what is to be on the wire, and how much of it is application data.
fn push(outbox: &mut Outbox, one: &One, index: usize, received: &[u8]) -> (Sent, usize) {
    let payload = LENGTHS[one.length.0];
    let at = index * 7 % (received.len() - payload);
    let body = (Piece::received(at, payload), &received[at..at + payload]);
    let header = [index as u8; 4];
    let (pieces, bytes) = match one.form {
        Form::Whole => (vec![body.0], body.1.to_vec()),
        Form::Header => (vec![outbox.write(&header), body.0], [&header, body.1].concat()),
        Form::HeaderAndPadding => {
            let padding = &[0; 3][..payload.wrapping_neg() & 3];
            let pieces = vec![outbox.write(&header), body.0, outbox.write(padding)];
            (pieces, [&header, body.1, padding].concat())
        }
    };
    let to = Addr::new(IPS[one.to.0.0], PORTS[one.to.1.0]);
    let tos = CLASSES[one.class.0];
    let datagram = Datagram {
        to,
        relay: one.relay.map(|relay| relay.0 as u32),
        payload,
        tos,
        dont_fragment: one.dont_fragment,
    };
    outbox.push(datagram, &pieces);
    (Sent { to, tos, bytes }, payload)
}
