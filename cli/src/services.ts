export interface ServiceCommand {
  readonly description: string;
  readonly run: (args: readonly string[]) => Promise<void>;
}

/** The long-running commands. Each is imported only when it is asked for. */
export const SERVICES: Readonly<Record<string, ServiceCommand>> = {
  up: {
    description: "the whole platform in one process, with state in memory",
    run: async (args) => (await import("@culvert/standalone-service/main")).main(args),
  },
  relay: {
    description: "the TURN server",
    run: async (args) => (await import("@culvert/relay-service/main")).main(args),
  },
  stun: {
    description: "the STUN server, with NAT behaviour discovery",
    run: async (args) => (await import("@culvert/stun-service/main")).main(args),
  },
  signaling: {
    description: "the rendezvous server",
    run: async (args) => (await import("@culvert/signaling-service/main")).main(args),
  },
  credential: {
    description: "the credential API and the key feed",
    run: async (args) => (await import("@culvert/credential-service/main")).main(args),
  },
};
