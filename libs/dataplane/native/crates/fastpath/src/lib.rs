//! The native data plane: it relays UDP between TURN clients and their peers (RFC 8656) on threads of its own, after a
//! table that the control loop keeps. What the table cannot answer is handed up.
//!
//! Linux only: it lives on recvmmsg, sendmmsg, UDP GSO and GRO, and epoll.

mod addr;
mod batch;
mod bucket;
mod clock;
mod command;
mod counters;
mod event;
mod forward;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
#[cfg(any(test, feature = "fuzz"))]
mod kernel;
mod mesh;
mod outbox;
mod plane;
mod socket;
mod steer;
mod stun;
mod table;
mod worker;

pub use addr::{ADDR_LEN, Addr, IP_LEN, Ip};
pub use command::MalformedCommand;
pub use counters::{COUNTERS, Drop, RELAY_COUNTERS};
pub use mesh::MeshOptions;
pub use mesh::seal::{INSTANCE, Instance, KEY, SealKey};
pub use plane::{Client, FastPath, ListenMode, OpenedMesh, Options};
