//! `fastpath` as a Node-API addon. Types change here, nothing is decided.

mod mac;

use std::sync::{Arc, Mutex, PoisonError};

use fastpath::{ADDR_LEN, Addr, Client, FastPath, IP_LEN, Ip, KEY, ListenMode, MeshOptions, SealKey};
use napi::bindgen_prelude::{Buffer, Function, Uint8Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Error, Result, Status};
use napi_derive::napi;

/// Changes with the layout of commands and events, or with what is exported. The adapter checks it.
const PROTOCOL: u32 = 5;

#[napi]
pub fn protocol() -> u32 {
    PROTOCOL
}

/// See `fastpath::Options`.
#[napi(object)]
pub struct Options {
    pub workers: u32,
    pub now: f64,
    pub stepped: bool,
    pub answers_bindings: bool,
    pub clients_move: bool,
    pub receive_buffer: u32,
    pub send_buffer: u32,
    pub relay_buffer: u32,
}

/// What became of `listen`.
#[napi(object)]
pub struct Listening {
    /// The error number, or 0.
    pub errno: i32,
    pub listener: u32,
    /// Packed.
    pub local: Buffer,
}

/// See `fastpath::MeshOptions`.
#[napi(object)]
pub struct MeshSpec {
    /// Packed.
    pub local: Uint8Array,
    pub instance: Uint8Array,
    /// Each its id in one byte, then itself.
    pub keys: Uint8Array,
    /// For each frontend its name on the wire, the listener and the address family.
    pub frontends: Vec<u32>,
    /// Packed, one after the other.
    pub shared_ips: Uint8Array,
    pub max_foreign: u32,
    pub max_paths: u32,
}

/// What became of `open_mesh`.
#[napi(object)]
pub struct MeshOpened {
    /// The error number, or 0.
    pub errno: i32,
    /// Packed.
    pub local: Buffer,
    /// Why datagrams of peers for other relays are not taken; empty when they are, or need not be.
    pub no_steering: String,
}

/// Keeps the event loop alive for as long as it is there.
type Wake = ThreadsafeFunction<(), (), (), Status, false>;

#[napi]
pub struct Plane {
    plane: FastPath,
    wake: Arc<Mutex<Option<Wake>>>,
}

#[napi]
impl Plane {
    /// `wake` is called when there are events to take after there were none.
    #[napi(constructor)]
    pub fn new(options: Options, wake: Function<'_, (), ()>) -> Result<Self> {
        let wake = wake
            .build_threadsafe_function::<()>()
            .callee_handled::<false>()
            .build()?;
        let wake = Arc::new(Mutex::new(Some(wake)));
        let options = fastpath::Options {
            workers: options.workers as usize,
            now: options.now,
            stepped: options.stepped,
            answers_bindings: options.answers_bindings,
            clients_move: options.clients_move,
            receive_buffer: options.receive_buffer as usize,
            send_buffer: options.send_buffer as usize,
            relay_buffer: options.relay_buffer as usize,
        };
        let waking = Arc::clone(&wake);
        let call = Box::new(move || {
            if let Some(wake) = waking.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
            }
        });
        let plane = FastPath::new(&options, call).map_err(|error| Error::from_reason(error.to_string()))?;
        Ok(Self { plane, wake })
    }

    #[napi]
    pub fn listen(&mut self, local: Uint8Array, stun_only: bool) -> Result<Listening> {
        let mode = if stun_only { ListenMode::Stun } else { ListenMode::Turn };
        Ok(match self.plane.listen(addr(&local)?, mode) {
            Ok((listener, local)) => Listening {
                errno: 0,
                listener,
                local: local.pack().to_vec().into(),
            },
            Err(error) => Listening {
                errno: error.raw_os_error().unwrap_or(-1),
                listener: 0,
                local: Buffer::from(Vec::new()),
            },
        })
    }

    #[napi]
    pub fn add_stream_listener(&mut self) -> u32 {
        self.plane.add_stream_listener()
    }

    #[napi]
    pub fn open_mesh(&mut self, spec: MeshSpec) -> Result<MeshOpened> {
        let options = mesh_options(&spec).ok_or_else(|| Error::from_reason("not a mesh"))?;
        Ok(match self.plane.open_mesh(options) {
            Ok(opened) => MeshOpened {
                errno: 0,
                local: opened.local.pack().to_vec().into(),
                no_steering: opened.no_steering.map_or_else(String::new, |error| error.to_string()),
            },
            Err(error) => MeshOpened {
                errno: error.raw_os_error().unwrap_or(-1),
                local: Buffer::from(Vec::new()),
                no_steering: String::new(),
            },
        })
    }

    /// False when another listener has the name.
    #[napi]
    pub fn join_mesh(&mut self, frontend: u32, listener: u32, family: u32) -> bool {
        self.plane.join_mesh(frontend, listener, family == 6)
    }

    /// As `from_stream`, for a message that came over the mesh by a peer.
    #[napi]
    pub fn from_stream_via(&mut self, listener: u32, remote: Uint8Array, peer: f64, bytes: Uint8Array) -> Result<bool> {
        Ok(self.plane.from_stream_via(client(listener, &remote)?, peer, &bytes))
    }

    /// Returns what became of each bind: the relay, then the error number or 0.
    #[napi]
    pub fn apply(&mut self, now: f64, commands: Uint8Array) -> Result<Vec<f64>> {
        match self.plane.apply(now, &commands) {
            Ok(bound) => Ok(bound
                .into_iter()
                .flat_map(|(relay, errno)| [relay, f64::from(errno)])
                .collect()),
            Err(error) => Err(Error::from_reason(format!("{error:?}"))),
        }
    }

    /// True when the table cannot answer the message.
    #[napi]
    pub fn from_stream(&mut self, listener: u32, remote: Uint8Array, bytes: Uint8Array) -> Result<bool> {
        Ok(self.plane.from_stream(client(listener, &remote)?, &bytes))
    }

    #[napi]
    pub fn owns_relay(&self, listener: u32, remote: Uint8Array) -> Result<bool> {
        Ok(self.plane.owns_relay(client(listener, &remote)?))
    }

    #[napi]
    pub fn forget_client(&mut self, listener: u32, remote: Uint8Array) -> Result<()> {
        self.plane.forget_client(client(listener, &remote)?);
        Ok(())
    }

    #[napi]
    pub fn take_events(&self) -> Buffer {
        self.plane.take_events().into()
    }

    #[napi]
    pub fn events_wait(&self) -> bool {
        self.plane.events_wait()
    }

    /// Totals, then how many relays are open, how many peers are registered, and how many clients others own.
    #[napi]
    pub fn counters(&self) -> Vec<f64> {
        let (totals, relays) = self.plane.counters();
        let (peers, foreign) = self.plane.mesh_totals();
        let held = [relays, peers, foreign].map(|count| count as f64);
        totals.into_iter().chain(held).collect()
    }

    /// Empty for a relay that is not open.
    #[napi]
    pub fn relay_counters(&self, relay: f64) -> Vec<f64> {
        self.plane.relay_counters(relay).map_or_else(Vec::new, Vec::from)
    }

    #[napi]
    pub fn close(&mut self) {
        self.plane.close();
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn client(listener: u32, remote: &[u8]) -> Result<Client> {
    Ok((listener, addr(remote)?))
}

/// None when something of it is not packed as it is to be.
fn mesh_options(spec: &MeshSpec) -> Option<MeshOptions> {
    let keys = spec.keys.chunks(1 + KEY).map(|packed| {
        let (id, key) = packed.split_first()?;
        SealKey::new(*id, key.try_into().ok()?)
    });
    let frontends = spec.frontends.chunks(3).map(|one| match one {
        [name, listener, family] => Some((*name, *listener, *family == 6)),
        _ => None,
    });
    let shared_ips = spec
        .shared_ips
        .chunks(IP_LEN)
        .map(|packed| Ip::unpack(packed.try_into().ok()?));
    Some(MeshOptions {
        local: addr(&spec.local).ok()?,
        instance: spec.instance.as_ref().try_into().ok()?,
        keys: keys.collect::<Option<_>>()?,
        frontends: frontends.collect::<Option<_>>()?,
        shared_ips: shared_ips.collect::<Option<_>>()?,
        max_foreign: spec.max_foreign as usize,
        max_paths: spec.max_paths as usize,
    })
}

fn addr(bytes: &[u8]) -> Result<Addr> {
    let packed: Option<&[u8; ADDR_LEN]> = bytes.try_into().ok();
    packed
        .and_then(Addr::unpack)
        .ok_or_else(|| Error::from_reason("not a packed address"))
}
