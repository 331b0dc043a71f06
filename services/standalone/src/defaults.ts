import { networkInterfaces } from "node:os";

export interface DefaultsOptions {
  /** The address of this host that everything listens on. */
  readonly host: string;
  /** Whether this host has ::1. */
  readonly loopback6: boolean;
  readonly certificate: { readonly cert: string; readonly key: string };
  /** A fresh random secret at each call. */
  readonly secret: () => string;
}

type Section = Readonly<Record<string, unknown>>;

/** What stands below the configuration file: a platform on one address, whose secrets live as long as the process. */
export function standaloneDefaults(options: DefaultsOptions): {
  readonly relay: Section;
  readonly stun: Section;
  readonly credential: Section;
  readonly signaling: Section;
} {
  const { host, loopback6, certificate, secret } = options;
  const hosts = host === "127.0.0.1" && loopback6 ? [host, "::1"] : [host];
  const on = (transport: string, port: number) => hosts.map((ip) => ({ transport, ip, port }));
  return {
    relay: {
      listeners: [...on("udp", 3478), ...on("tcp", 3478), ...on("tls", 5349)],
      tls: certificate,
      addresses: hosts.map((ip) => ({ ip })),
      grpc: { port: 0, token: secret() },
    },
    stun: {
      listeners: [...on("udp", 3480), ...on("tcp", 3480)],
    },
    credential: {
      http: { host, port: 8080 },
      grpc: { enabled: false },
      adminToken: secret(),
      tenants: [
        { id: "default", keys: [{ kid: "local", secret: secret() }], tokens: [{ id: "local", token: secret() }] },
      ],
    },
    signaling: {
      listen: { host, port: 8081 },
    },
  };
}

/** Whether ::1 can be bound here. */
export function hasLoopback6(): boolean {
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === "::1"));
}
