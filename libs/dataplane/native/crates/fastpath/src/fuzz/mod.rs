//! What is fuzzed: bodies that take any bytes and panic where something does not hold. `native/fuzz` runs them under
//! libFuzzer with AddressSanitizer (`make fuzz`), the test below replays the committed inputs.

mod commands;
mod mesh;
mod model;
mod outbox;
mod parse;
mod reference;
mod session;

pub use commands::run as commands;
pub use mesh::run as mesh;
pub use outbox::run as outbox;
pub use parse::run as parse;
pub use session::run as session;

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::addr::{Addr, Ip};

/// One of N.
#[derive(Clone, Copy, Debug)]
struct Choice<const N: usize>(usize);

impl<'a, const N: usize> Arbitrary<'a> for Choice<N> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(u.int_in_range(0..=N - 1)?))
    }

    fn size_hint(_depth: usize) -> (usize, Option<usize>) {
        (1, Some(1))
    }
}

const V6: Ip = Ip::v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
/// 192.0.2.1 as it is mapped into IPv6: another address to the table.
const MAPPED: Ip = Ip::v6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]);
/// Few, so that what one step says about an address another one meets.
const IPS: [Ip; 4] = [Ip::v4([192, 0, 2, 1]), Ip::v4([192, 0, 2, 2]), V6, MAPPED];
const PORTS: [u16; 4] = [5000, 6000, 0, u16::MAX];

fn addr((ip, port): (Choice<4>, Choice<4>)) -> Addr {
    Addr::new(IPS[ip.0], PORTS[port.0])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    fn replay(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fuzz/corpus")
            .join(target);
        let mut inputs = 0;
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            eprintln!("{}", path.display());
            run(&fs::read(&path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "no corpus in {}", folder.display());
    }

    #[test]
    fn stands_the_corpus_of_parse() {
        replay("parse", super::parse);
    }

    #[test]
    fn stands_the_corpus_of_commands() {
        replay("commands", super::commands);
    }

    #[test]
    fn stands_the_corpus_of_mesh() {
        replay("mesh", super::mesh);
    }

    #[test]
    fn stands_the_corpus_of_session() {
        replay("session", super::session);
    }

    #[test]
    fn stands_the_corpus_of_outbox() {
        replay("outbox", super::outbox);
    }
}
