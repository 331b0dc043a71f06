//! The owner's part of the mesh: opening it, and its commands.

use std::io;
use std::os::fd::AsFd;

use super::{Client, FastPath, State, tuple};
use crate::addr::{Addr, Ip};
use crate::command::Command;
use crate::counters::Drop;
use crate::mesh::frame::{ClientFrame, Head};
use crate::mesh::{Mesh, MeshOptions, Peer};
use crate::outbox::Outbox;
use crate::steer::{SteerError, Steering};
use crate::table::Tuple;
use crate::worker::mesh::{For, count_to_mesh, push_sealed};

/// What has become of opening a mesh.
pub struct OpenedMesh {
    pub local: Addr,
    /// Why datagrams of peers for other relays are not taken. None: they are, or need not be.
    pub no_steering: Option<SteerError>,
}

impl FastPath {
    /// Joins a mesh. Once.
    pub fn open_mesh(&mut self, options: MeshOptions) -> io::Result<OpenedMesh> {
        let shares = !options.shared_ips.is_empty();
        let workers = self.polls.len();
        let mut mesh = Mesh::open(options, workers, self.listener_buffers)?;
        let mut no_steering = None;
        if shares {
            match Steering::attach(workers, self.listener_buffers) {
                Ok(steering) => mesh.steering = Some(steering),
                Err(error) => no_steering = Some(error),
            }
        }
        let mut state = self.shared.write();
        if state.mesh.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        for (index, poll) in self.polls.iter().enumerate() {
            poll.add_mesh(mesh.sockets[index].as_fd())?;
            if let Some(steering) = &mesh.steering {
                poll.add_steered(steering.sockets4[index].as_fd(), false)?;
                if let Some(socket) = steering.sockets6.get(index) {
                    poll.add_steered(socket.as_fd(), true)?;
                }
            }
        }
        let local = mesh.local();
        state.table.bar(mesh.addresses());
        state.mesh = Some(mesh);
        Ok(OpenedMesh { local, no_steering })
    }

    /// Lets a listener take part in the mesh that is open, under a name on the wire. False when another one has the name.
    pub fn join_mesh(&mut self, frontend: u32, listener: u32, v6: bool) -> bool {
        let mut state = self.shared.write();
        state
            .mesh
            .as_mut()
            .is_some_and(|mesh| mesh.join(frontend, listener, v6))
    }

    /// A message of a client on a listener of streams that came over the mesh: true when the table cannot answer it.
    pub fn from_stream_via(&mut self, client: Client, peer: f64, bytes: &[u8]) -> bool {
        let state = self.shared.read();
        let via = state.mesh.as_ref().and_then(|mesh| mesh.peer(mesh.peer_by_id(peer)?));
        // One that is gone by now is heard no more.
        via.is_some() && self.take(&state, tuple(client), bytes, via)
    }

    /// Members that are registered, and clients that others own.
    pub fn mesh_totals(&self) -> (usize, usize) {
        let state = self.shared.read();
        state
            .mesh
            .as_ref()
            .map_or((0, 0), |mesh| (mesh.peers(), mesh.foreign_clients()))
    }

    pub(super) fn carry_out_mesh(&self, state: &mut State, command: Command<'_>, now: f64) {
        let Some(mesh) = &mut state.mesh else { return };
        match command {
            Command::MeshPeer {
                peer,
                instance,
                addr,
                keys,
            } => {
                mesh.register(peer, instance, addr, keys.unpack());
                state.table.bar(mesh.addresses());
            }
            Command::MeshPeerGone { peer } => {
                mesh.forget(peer);
                state.table.bar(mesh.addresses());
            }
            Command::MeshKeys { keys } => mesh.set_keys(keys.unpack()),
            Command::MeshSend { peer, bytes } => {
                let result = self.send_sealed(state, peer, &Head::control(), bytes);
                self.count(result);
            }
            Command::Forward { peer, client, bytes } => {
                let result = self.forward(state, peer, client, bytes, now);
                self.count(result);
            }
            Command::ForeignClient { client, peer, deadline } => mesh.set_foreign(client, peer, deadline),
            Command::RevokeForeignClient { client } => mesh.remove_foreign(client),
            Command::ForeignPorts {
                ip,
                ports,
                peer,
                deadline,
            } => {
                mesh.set_foreign_ports(ip, ports, peer, deadline);
                steer(mesh, ip, ports);
            }
            Command::RevokeForeignPorts { ip, ports } => {
                mesh.remove_foreign_ports(ip, ports);
                steer(mesh, ip, ports);
            }
            _ => {}
        }
    }

    fn forward(&self, state: &mut State, id: f64, client: Tuple, bytes: &[u8], now: f64) -> Result<(), Drop> {
        let Some(mesh) = &mut state.mesh else { return Ok(()) };
        let frontend = mesh.frontend(client.listener).ok_or(Drop::MeshRefused)?;
        // What came over the mesh is not sent over it again.
        if mesh.path_of(&state.table, client, now).is_some() {
            return Err(Drop::MeshRefused);
        }
        if let Some(peer) = mesh.peer_by_id(id) {
            mesh.forwarded(client, peer, now);
        }
        let head = Head::client(ClientFrame::Packet, frontend, client.remote);
        self.send_sealed(state, id, &head, bytes)
    }

    fn send_sealed(&self, state: &State, id: f64, head: &Head, bytes: &[u8]) -> Result<(), Drop> {
        let Some(mesh) = &state.mesh else { return Ok(()) };
        let peer = mesh.peer_by_id(id).and_then(|peer| mesh.peer(peer));
        self.send_sealed_to(state, mesh, peer.ok_or(Drop::MeshUnknown)?, head, bytes)
    }

    pub(super) fn send_sealed_to(
        &self,
        state: &State,
        mesh: &Mesh,
        peer: &Peer,
        head: &Head,
        bytes: &[u8],
    ) -> Result<(), Drop> {
        let mut outbox = Outbox::default();
        push_sealed(
            &mut outbox,
            (mesh, self.polls.len()),
            peer,
            head,
            &[bytes],
            For::default(),
        )?;
        outbox.send(mesh.sockets[0].as_fd(), 0, &[], |message, outcome| {
            count_to_mesh(&state.table, self.own_tally(), message, outcome);
        });
        Ok(())
    }

    /// What is for a client that is reached by way of another relay. False for one that is not.
    pub(super) fn send_by_mesh(&self, state: &State, client: Tuple, bytes: &[u8], now: f64) -> bool {
        let Some(mesh) = &state.mesh else { return false };
        let Some(peer) = mesh.path_of(&state.table, client, now) else {
            return false;
        };
        let result = match mesh.frontend(client.listener) {
            Some(frontend) => {
                let head = Head::client(ClientFrame::Reply, frontend, client.remote);
                self.send_sealed_to(state, mesh, peer, &head, bytes)
            }
            None => Err(Drop::UnknownClient),
        };
        self.count(result);
        true
    }

    pub(super) fn count(&self, result: Result<(), Drop>) {
        if let Err(reason) = result {
            self.own_tally().drop(reason, 1);
        }
    }
}

fn steer(mesh: &Mesh, ip: Ip, ports: (u16, u16)) {
    if let Some(steering) = &mesh.steering {
        // A map that is full steers no more than it did; what is not steered is nobody's, as without it.
        let _ = steering.update(mesh.foreign_ports(), ip, ports);
    }
}
