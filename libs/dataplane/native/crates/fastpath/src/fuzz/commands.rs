//! Packed commands: whatever bytes come, they are read within their bounds, and what was read is what was packed.

use std::fs::File;

use crate::addr::{Addr, Ip};
use crate::command::{Command, Commands, PackedKeys};
use crate::table::{Relay, Table, Tuple};

/// Each takes a descriptor.
const MAX_RELAYS: usize = 64;

pub fn run(input: &[u8]) {
    let mut table = Table::default();
    let mut commands = Commands::new(input);
    let mut taken = 0;
    loop {
        match commands.next() {
            Ok(Some(command)) => {
                taken += check(&command);
                carry_out(&mut table, command, 0.0);
            }
            Ok(None) => {
                assert_eq!(taken, input.len());
                return;
            }
            Err(_) => {
                assert!(taken < input.len());
                return;
            }
        }
    }
}

/// Packs what was read, reads that, and returns how long it is.
fn check(command: &Command<'_>) -> usize {
    let packed = pack(command);
    let mut again = Commands::new(&packed);
    let Ok(Some(same)) = again.next() else {
        panic!("{packed:?} does not read");
    };
    assert_eq!(pack(&same), packed);
    assert!(matches!(again.next(), Ok(None)));
    packed.len()
}

/// As the data plane carries them out, without what needs a network.
pub fn carry_out(table: &mut Table, command: Command<'_>, now: f64) {
    match command {
        Command::SendToClient { .. } | Command::SendToPeer { .. } => {}
        Command::Bind {
            relay, local, lease, ..
        } => {
            if table.slot(relay).is_none() && table.len() < MAX_RELAYS {
                let socket = File::open("/dev/null").unwrap().into();
                table.insert(Relay::new(relay, local, socket));
            }
            table.put_under(relay, lease);
        }
        Command::Unbind { relay } => drop(table.remove(relay)),
        Command::Allocation { relay, allocation } => {
            table.assign(relay, allocation, now);
        }
        Command::Permission { relay, permission } => table.set_permission(relay, permission),
        Command::Channel { relay, channel } => table.set_channel(relay, channel),
        Command::RevokePermission { relay, ip } => table.delete_permission(relay, ip),
        Command::RevokeChannel { relay, number } => table.delete_channel(relay, number),
        Command::Lease { lease, deadline } => table.set_lease(lease, deadline),
        // Those of the mesh, which is not open.
        _ => {}
    }
}

pub fn pack(command: &Command<'_>) -> Vec<u8> {
    match command {
        Command::SendToClient { client, bytes } => [&[1][..], &tuple(*client), &counted(bytes)].concat(),
        Command::SendToPeer {
            relay,
            peer,
            dont_fragment,
            bytes,
        } => {
            let head = [&[2][..], &relay.to_le_bytes(), &peer.pack()].concat();
            [&head[..], &[u8::from(*dont_fragment)], &counted(bytes)].concat()
        }
        Command::Bind {
            relay,
            local,
            lease,
            counters,
        } => {
            let counters = counters.unwrap_or([f64::NAN; 4]).map(f64::to_le_bytes).concat();
            let lease = lease.unwrap_or(f64::NAN).to_le_bytes();
            [&[3][..], &relay.to_le_bytes(), &local.pack(), &lease, &counters].concat()
        }
        Command::Unbind { relay } => [&[4][..], &relay.to_le_bytes()].concat(),
        Command::Allocation { relay, allocation } => [
            &[5][..],
            &relay.to_le_bytes(),
            &tuple(allocation.client),
            &[if allocation.v6 { 6 } else { 4 }],
            &allocation.deadline.to_le_bytes(),
            &allocation.rate.unwrap_or(f64::NAN).to_le_bytes(),
        ]
        .concat(),
        Command::Permission { relay, permission } => {
            let (min, max) = permission.ports.unwrap_or((0, u16::MAX));
            let except = &permission.except_ports;
            let mut bytes = [
                &[6][..],
                &relay.to_le_bytes(),
                &permission.ip.pack(),
                &permission.wire.pack(),
                &permission.deadline.to_le_bytes(),
            ]
            .concat();
            for number in [min, max, except.len() as u16].iter().chain(except) {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes
        }
        Command::Channel { relay, channel } => [
            &[7][..],
            &relay.to_le_bytes(),
            &channel.number.to_le_bytes(),
            &channel.peer.pack(),
            &channel.wire.pack(),
            &channel.deadline.to_le_bytes(),
        ]
        .concat(),
        Command::RevokePermission { relay, ip } => [&[8][..], &relay.to_le_bytes(), &ip.pack()].concat(),
        Command::RevokeChannel { relay, number } => [&[9][..], &relay.to_le_bytes(), &number.to_le_bytes()].concat(),
        Command::Lease { lease, deadline } => [&[10][..], &lease.to_le_bytes(), &deadline.to_le_bytes()].concat(),
        Command::MeshPeer {
            peer,
            instance,
            addr,
            keys,
        } => {
            let head = [&[11][..], &peer.to_le_bytes(), instance, &addr.pack()].concat();
            [head, keys_of(*keys)].concat()
        }
        Command::MeshPeerGone { peer } => [&[12][..], &peer.to_le_bytes()].concat(),
        Command::MeshKeys { keys } => [vec![13], keys_of(*keys)].concat(),
        Command::MeshSend { peer, bytes } => [&[14][..], &peer.to_le_bytes(), &counted(bytes)].concat(),
        Command::Forward { peer, client, bytes } => {
            let head = [&[15][..], &peer.to_le_bytes(), &tuple(*client)].concat();
            [head, counted(bytes)].concat()
        }
        Command::ForeignClient { client, peer, deadline } => {
            let head = [vec![16], tuple(*client)].concat();
            [&head[..], &peer.to_le_bytes(), &deadline.to_le_bytes()].concat()
        }
        Command::RevokeForeignClient { client } => [vec![17], tuple(*client)].concat(),
        Command::ForeignPorts {
            ip,
            ports,
            peer,
            deadline,
        } => {
            let head = [vec![18], range(*ip, *ports)].concat();
            [&head[..], &peer.to_le_bytes(), &deadline.to_le_bytes()].concat()
        }
        Command::RevokeForeignPorts { ip, ports } => [vec![19], range(*ip, *ports)].concat(),
    }
}

fn keys_of(PackedKeys(keys): PackedKeys<'_>) -> Vec<u8> {
    [&[(keys.len() / 33) as u8][..], keys].concat()
}

fn range(ip: Ip, (min, max): (u16, u16)) -> Vec<u8> {
    [&ip.pack()[..], &min.to_le_bytes(), &max.to_le_bytes()].concat()
}

fn tuple(client: Tuple) -> Vec<u8> {
    let Tuple { listener, remote } = client;
    [&listener.to_le_bytes()[..], &Addr::pack(remote)].concat()
}

fn counted(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_le_bytes()[..], bytes].concat()
}
