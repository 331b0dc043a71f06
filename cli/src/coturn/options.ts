/** What becomes of an option: its keys do the same, nothing need do it, or nothing does. */
export type Fate = "taken" | "unneeded" | "none";

export interface CoturnOption {
  readonly fate: Fate;
  /** Of `taken`: the keys that do the same. */
  readonly keys: readonly string[];
  /** How it is taken over, why it is not needed, or what comes nearest. One sentence or more, Markdown code allowed. */
  readonly note: string;
  /** The value is never shown. */
  readonly secret: boolean;
  /** May stand several times, each counting. Of the others the last one counts. */
  readonly many: boolean;
}

interface Traits {
  readonly secret?: boolean;
  readonly many?: boolean;
}

const make = (fate: Fate, keys: readonly string[], note: string, { secret = false, many = false }: Traits) => ({
  fate,
  keys,
  note,
  secret,
  many,
});
const taken = (keys: string, note = "", traits: Traits = {}): CoturnOption =>
  make("taken", keys.split(" "), note, traits);
const unneeded = (note: string, traits: Traits = {}): CoturnOption => make("unneeded", [], note, traits);
const none = (note: string, traits: Traits = {}): CoturnOption => make("none", [], note, traits);

const DATABASE =
  "Databases are not read. Nearest: the credential service; or `turnadmin -l` and `turnadmin -S` list users and secrets for `relay.auth`.";
const CLI =
  "There is no telnet interface. Nearest: `relay.grpc` with a token, and `culvert relays`, `allocations`, `drain`.";
const WEB = "There is no web interface. Nearest: `relay.grpc`, the `culvert` command and the Grafana dashboards.";
const OWN_LOG = "Logs are JSON lines on standard output; what runs the process keeps them.";
const OWN_PROCESS = "What runs the process (Kubernetes, Docker, systemd) does it.";
const OWN_CURVES = "Key exchange is ECDHE, with curves that both sides know.";
const OLD_TLS = "TLS begins with 1.2.";
const ONE_WAY = "With Prometheus, `/metrics` is always there.";

/** Every option of coturn 4.6 and those of later releases up to 4.8, by name. */
export const COTURN_OPTIONS: Readonly<Record<string, CoturnOption>> = {
  // Where it listens.
  "listening-ip": taken("relay.listeners[].ip", "Each address with each transport.", { many: true }),
  "listening-port": taken(
    "relay.listeners[].port",
    "For UDP and TCP. TLS is not recognised on it: it has its own listener.",
  ),
  "tls-listening-port": taken(
    "relay.listeners[].port",
    "Of the TLS listener, which is there when `cert` and `pkey` are.",
  ),
  "aux-server": taken("relay.listeners", "Further UDP and TCP listeners.", { many: true }),
  "alt-listening-port": taken(
    "stun.alternate.port",
    "With `stun-only`. Beside a relay, run `culvert stun` on an address or port of its own.",
  ),
  "alt-tls-listening-port": unneeded("RFC 5780 is about UDP."),
  "tcp-proxy-port": none("The PROXY protocol is not read. Nearest: a load balancer that keeps the client's address."),
  "listening-device": none("Nearest: `relay.listeners[].ip`, the address of that interface."),
  "relay-device": none("Nearest: `relay.addresses`, the address of that interface."),
  "no-udp": taken("relay.listeners", "No UDP listener."),
  "no-tcp": taken("relay.listeners", "No TCP listener."),
  "no-tls": taken("relay.listeners", "No TLS listener."),
  "no-dtls": unneeded("DTLS is not served."),
  "udp-self-balance": unneeded("The workers of the native data plane share one port (SO_REUSEPORT)."),
  "alternate-server": none(
    "Nearest: `relay.fleet`: a relay that drains or is full sends clients to another one of its fleet (300).",
    { many: true },
  ),
  "tls-alternate-server": none("Nearest: `relay.fleet`, as for `alternate-server`.", { many: true }),
  "acme-redirect": none("Nearest: an ACME client beside it, or cert-manager; new files are taken without a restart."),
  "respond-http-unsupported": unneeded("What is not STUN on a TCP listener ends the connection."),
  // What it relays on.
  "relay-ip": taken("relay.addresses", "", { many: true }),
  "external-ip": taken("relay.addresses", "As `public/private`.", { many: true }),
  "min-port": taken("relay.ports.min"),
  "max-port": taken("relay.ports.max"),
  "relay-threads": taken("relay.dataPlane.workers", "0 becomes 1."),
  ne: unneeded("There is one engine; `relay.dataPlane.kind` chooses between the native and the portable one."),
  cpus: taken("relay.dataPlane.workers", "Where `relay-threads` is not set."),
  "allocation-default-address-family": none(
    "`ipv4` is what RFC 8656 says and what is done. Clients ask for IPv6 by REQUESTED-ADDRESS-FAMILY.",
  ),
  "keep-address-family": none("As `allocation-default-address-family=keep`."),
  "no-udp-relay": none("UDP is what is relayed."),
  "no-tcp-relay": unneeded("TCP relays (RFC 6062) are answered with 442."),
  "server-relay": none("Peers need a permission. Nothing lifts that."),
  // Who may.
  realm: taken("relay.realm"),
  "lt-cred-mech": unneeded("Long-term credentials are the only ones."),
  "no-auth": none("There is no anonymous access. Nearest: the credential service, or one user in `relay.auth.users`."),
  user: taken(
    "relay.auth.users",
    "With passwords. A key (`0x...`) cannot be turned back into one: give the user a password, or issue credentials. With `use-auth-secret` users count for nothing, in coturn as well.",
    { secret: true, many: true },
  ),
  "use-auth-secret": taken("relay.auth.secrets"),
  "static-auth-secret": taken(
    "relay.auth.secrets",
    "In charts also the credential service's, which signs with the first.",
    {
      secret: true,
      many: true,
    },
  ),
  "rest-api-separator": none("The separator is a colon."),
  oauth: none("RFC 7635 tokens are not asked for. Nearest: the credential service."),
  "server-name": none("It is for `oauth` only."),
  "check-origin-consistency": unneeded("ORIGIN is not looked at; browsers do not send it."),
  "secret-ts-exp-time": unneeded("It has no effect in coturn either."),
  userdb: none(DATABASE),
  db: none(DATABASE),
  "psql-userdb": none(DATABASE, { secret: true }),
  "sql-userdb": none(DATABASE, { secret: true }),
  "mysql-userdb": none(DATABASE, { secret: true }),
  "mongo-userdb": none(DATABASE, { secret: true }),
  "redis-userdb": none(DATABASE, { secret: true }),
  "secret-key-file": none(DATABASE),
  "redis-statsdb": none(
    "Nearest: usage events on NATS JetStream (`relay.fleet.nats`), `/metrics`, and `culvert allocations`.",
    { secret: true },
  ),
  "no-auth-pings": unneeded("There is no database to ask."),
  "no-dynamic-ip-list": unneeded("There is no database to ask."),
  "no-dynamic-realms": unneeded("There is no database to ask."),
  // Which peers.
  "allowed-peer-ip": taken(
    "relay.peers.allow relay.peers.deny relay.peers.dangerouslyAllow",
    "Public addresses are allowed anyway; what `denied-peer-ip` holds of it is left out of `deny`.",
    { many: true },
  ),
  "denied-peer-ip": taken("relay.peers.deny", "As CIDR ranges.", { many: true }),
  "allow-loopback-peers": taken("relay.peers.dangerouslyAllow", "`127.0.0.0/8` and `::1/128`."),
  "no-multicast-peers": unneeded("Multicast addresses are never peers."),
  // How much.
  "user-quota": taken("relay.quotas.user"),
  "total-quota": taken("relay.quotas.total"),
  "max-bps": taken("relay.limits.maxBps", "Bytes per second, each direction, as in coturn."),
  "bps-capacity": none("Nearest: `relay.limits.maxBps` with `relay.quotas.total`."),
  "max-allocate-lifetime": taken("relay.lifetime.max"),
  "channel-lifetime": none("It is 600 seconds (RFC 8656 section 12)."),
  "permission-lifetime": none("It is 300 seconds (RFC 8656 section 9)."),
  "max-allocate-timeout": none(
    "Nearest: `relay.dataPlane.streamIdleMs`, for TCP and TLS clients without an allocation.",
  ),
  "stale-nonce": taken("relay.auth.nonceLifetime", "30 to 86,400 seconds; 0 (for ever) becomes 86,400."),
  mobility: taken("relay.mobility", "`allowed`."),
  // STUN.
  "stun-only": taken("stun.listeners", "The STUN service in place of the relay."),
  "no-stun": none("Binding requests are answered."),
  "secure-stun": none("Binding requests are answered without credentials."),
  "no-rfc5780": unneeded("Behaviour discovery is off unless `stun.alternate` is set."),
  "no-stun-backward-compatibility": unneeded("Only clients of RFC 3489 get a MAPPED-ADDRESS."),
  "response-origin-only-with-rfc5780": unneeded("RESPONSE-ORIGIN is sent with `stun.alternate` only."),
  "software-attribute": none("Nearest: `relay.software`, told to authenticated clients only."),
  "no-software-attribute": unneeded("SOFTWARE is not sent unless `relay.software` is set."),
  prod: unneeded("The older name of `no-software-attribute`."),
  fingerprint: unneeded("Responses have a FINGERPRINT where the request has one."),
  // TLS.
  cert: taken("relay.tls.cert", "In a chart: a Secret of type kubernetes.io/tls."),
  pkey: taken("relay.tls.key", "In a chart: a Secret of type kubernetes.io/tls."),
  "pkey-pwd": none("Keys with a passphrase are not read. Nearest: `openssl pkey -in old.pem -out new.pem`.", {
    secret: true,
  }),
  "CA-file": none("Certificates of TURN clients are not asked for."),
  "cipher-list": none("Nearest: `NODE_OPTIONS=--tls-cipher-list=...`; by default Node.js's list."),
  "no-tlsv1": unneeded(OLD_TLS),
  "no-tlsv1_1": unneeded(OLD_TLS),
  "no-tlsv1_2": none("TLS 1.2 and 1.3 are served."),
  "no-sslv2": unneeded(OLD_TLS),
  "no-sslv3": unneeded(OLD_TLS),
  "ec-curve-name": unneeded(OWN_CURVES),
  "dh-file": unneeded(OWN_CURVES),
  dh566: unneeded(OWN_CURVES),
  dh1066: unneeded(OWN_CURVES),
  "raw-public-keys": none("Certificates only."),
  // The process, its logs, its metrics.
  verbose: taken("relay.logLevel", "`debug`."),
  Verbose: taken("relay.logLevel", "`trace`."),
  "log-file": unneeded(OWN_LOG),
  "no-stdout-log": unneeded(OWN_LOG),
  syslog: unneeded(OWN_LOG),
  "syslog-facility": unneeded(OWN_LOG),
  "simple-log": unneeded(OWN_LOG),
  "new-log-timestamp": unneeded("Times in the log are ISO 8601, in UTC, with milliseconds."),
  "new-log-timestamp-format": unneeded("Times in the log are ISO 8601, in UTC, with milliseconds."),
  "log-binding": none("Binding requests are counted in `/metrics`, not logged."),
  daemon: unneeded(OWN_PROCESS),
  pidfile: unneeded(OWN_PROCESS),
  "proc-user": unneeded(OWN_PROCESS),
  "proc-group": unneeded(OWN_PROCESS),
  version: unneeded("It prints and ends."),
  prometheus: taken("relay.ops.host", "`0.0.0.0`: `/metrics` is served to others, too. Port 9101 unless told."),
  "prometheus-port": taken("relay.ops.port"),
  "prometheus-address": taken("relay.ops.host"),
  "prometheus-path": unneeded(ONE_WAY),
  "prometheus-no-username-labels": unneeded("No label holds a user's name."),
  "prometheus-username-labels": none("No label holds a user's name. Nearest: usage events, `culvert allocations`."),
  "no-cli": unneeded("There is no telnet interface."),
  "cli-ip": none(CLI),
  "cli-port": none(CLI),
  "cli-password": none(CLI, { secret: true }),
  "cli-max-output-sessions": none("Nearest: `culvert allocations --limit`."),
  "web-admin": none(WEB),
  "web-admin-ip": none(WEB),
  "web-admin-port": none(WEB),
  "web-admin-listen-on-workers": none(WEB),
};
