import { describe, expect, it } from "vitest";
import { startRelay } from "./harness.ts";
import { KubeApiServer } from "./kube-api.ts";
import { startMappingServer } from "./stun-server.ts";

const NODE = "/api/v1/nodes/worker-1";
const ANNOTATION = "culvert.io/external-address";

/** Starts a relay with the section; says what its relayed addresses are. */
async function relaysOf(externalAddress: object, overrides: object = {}) {
  const relay = await startRelay({ externalAddress, ...overrides });
  return relay.info.relays;
}

const node = (api: KubeApiServer, more: object = {}) => ({
  node: { name: "worker-1" },
  kubernetes: api.section,
  ...more,
});
const external = (...ips: readonly string[]) => ({
  status: {
    addresses: [
      { type: "InternalIP", address: "10.0.0.7" },
      ...ips.map((address) => ({ type: "ExternalIP", address })),
    ],
  },
});
const annotated = (text: string) => ({ metadata: { annotations: { [ANNOTATION]: text } } });

describe("the external address", () => {
  it("is the one that relay.addresses says, before all others, and nobody is asked then", async () => {
    const api = await KubeApiServer.start();
    const found = await relaysOf(node(api, { ipv4: "9.9.9.2" }), { addresses: ["9.9.9.1/127.0.0.1"] });
    expect(found).toEqual([{ ip: "127.0.0.1", external: "9.9.9.1" }]);
    expect(api.requests).toEqual([]);
  });

  it("is the one of the section for the family", async () => {
    expect(await relaysOf({ ipv4: "9.9.9.2", ipv6: "2600::2" }, { addresses: ["127.0.0.1", "::1"] })).toEqual([
      { ip: "127.0.0.1", external: "9.9.9.2" },
      { ip: "::1", external: "2600::2" },
    ]);
  });

  it("is the node's annotation, then its ExternalIP, each family by itself", async () => {
    const api = await KubeApiServer.start();
    api.put(NODE, { ...external("9.9.9.3", "2600::3"), ...annotated(" 9.9.9.4 ") });
    const found = await relaysOf(node(api), { addresses: ["127.0.0.1", "::1"] });
    expect(found).toEqual([
      { ip: "127.0.0.1", external: "9.9.9.4" },
      { ip: "::1", external: "2600::3" },
    ]);
    await expect.poll(() => api.requests).toEqual([`GET ${NODE}`, "GET /api/v1/nodes?watch"]);
  });

  it("is what most STUN servers see, where the node says nothing", async () => {
    const api = await KubeApiServer.start();
    api.put(NODE, external());
    const servers = await Promise.all(["9.9.9.5", "9.9.9.6", "9.9.9.6", undefined].map(startMappingServer));
    const section = node(api, { stun: { servers: servers.map(({ name }) => name) } });
    expect(await relaysOf(section)).toEqual([{ ip: "127.0.0.1", external: "9.9.9.6" }]);
  });

  it("is not asked of STUN servers when the node has it", async () => {
    const api = await KubeApiServer.start();
    api.put(NODE, external("9.9.9.3"));
    const server = await startMappingServer(undefined);
    expect(await relaysOf(node(api, { stun: { servers: [server.name] } }))).toEqual([
      { ip: "127.0.0.1", external: "9.9.9.3" },
    ]);
  });

  it("is the address of the Service's load balancer, waited for while it has none", async () => {
    const api = await KubeApiServer.start();
    const path = "/api/v1/namespaces/calls/services/relay-0";
    api.put(path, { status: { loadBalancer: {} } });
    const started = relaysOf({ service: { name: "relay-0" }, kubernetes: api.section });
    await expect.poll(() => api.watches).toBe(1);
    api.put(path, { status: { loadBalancer: { ingress: [{ ip: "9.9.9.8", ports: [] }] } } });
    expect(await started).toEqual([{ ip: "127.0.0.1", external: "9.9.9.8" }]);
  });

  it("is what the host of a load balancer leads to that has a name only, the same one of several each time", async () => {
    const api = await KubeApiServer.start();
    api.put("/api/v1/namespaces/prod/services/relay", {
      status: { loadBalancer: { ingress: [{ hostname: "lb.example.org" }] } },
    });
    const section = { service: { name: "relay", namespace: "prod" }, kubernetes: api.section };
    const resolver = async (host: string) => (host === "lb.example.org" ? ["9.9.9.9", "9.9.9.10"] : []);
    const relay = await startRelay({ externalAddress: section }, { resolver });
    expect(relay.info.relays).toEqual([{ ip: "127.0.0.1", external: "9.9.9.10" }]);
  });

  it("is none where private ones are allowed and nobody says another", async () => {
    const api = await KubeApiServer.start();
    api.put(NODE, external());
    expect(await relaysOf(node(api, { allowPrivate: true }))).toEqual([{ ip: "127.0.0.1" }]);
    expect(await relaysOf({ allowPrivate: true, ipv4: "10.1.2.3" })).toEqual([
      { ip: "127.0.0.1", external: "10.1.2.3" },
    ]);
  });

  it("comes over plain HTTP, too, where a proxy beside the relay asks the API", async () => {
    const api = await KubeApiServer.start({ secure: false });
    api.put(NODE, external("9.9.9.3"));
    expect(await relaysOf(node(api))).toEqual([{ ip: "127.0.0.1", external: "9.9.9.3" }]);
  });
});

describe("a relay whose external address will not do ends with one line", () => {
  const ends = async (section: object, overrides: object = {}): Promise<string> => {
    try {
      await startRelay({ externalAddress: section, ...overrides });
    } catch (error) {
      if (error instanceof Error && error.name === "ConfigError") return error.message;
      throw error;
    }
    throw new Error("it started");
  };

  it("where nothing is told or asked", async () => {
    expect(await ends({ wait: 0 })).toBe(
      "relay.externalAddress: none for 127.0.0.1: must be found, or set by relay.externalAddress.ipv4, or relay.externalAddress.allowPrivate be true: nothing is asked for one (CULVERT_RELAY_EXTERNAL_ADDRESS_IPV4)",
    );
  });

  it.each(["10.0.0.1", "100.64.0.1", "192.168.1.1", "169.254.0.1", "203.0.113.1", "0.0.0.0", "127.0.0.2"])(
    "where it is private: %s",
    async (ip) => {
      expect(await ends({ ipv4: ip })).toBe(
        `relay.externalAddress: ${ip}: must be a public address, and the configuration says this one; relay.externalAddress.allowPrivate allows it (CULVERT_RELAY_EXTERNAL_ADDRESS_ALLOW_PRIVATE)`,
      );
    },
  );

  it.each(["fd00::1", "fe80::1", "::1", "2001:db8::1", "::ffff:10.0.0.1"])("where it is private: %s", async (ip) => {
    expect(await ends({ ipv6: ip }, { addresses: ["::1"] })).toContain(`${ip}: must be a public address`);
  });

  it("where the node has none", async () => {
    const api = await KubeApiServer.start();
    api.put(NODE, external());
    expect(await ends(node(api, { wait: 2 }))).toContain(
      "node worker-1 has neither the annotation culvert.io/external-address nor an ExternalIP (CULVERT_RELAY_EXTERNAL_ADDRESS_IPV4)",
    );
  });

  it("at once where it may not read the node, with what the API says of it", async () => {
    const api = await KubeApiServer.start();
    const message =
      'nodes "worker-1" is forbidden: User "system:serviceaccount:calls:relay" cannot get resource "nodes" in API group "" at the cluster scope';
    api.refusal = { status: 403, message };
    // A test has less time than that.
    const line = await ends(node(api, { wait: 60 }));
    expect(line).toContain(`node worker-1 could not be read: 403: ${message}`);
    expect(line).not.toContain("\n");
  });

  it("where the annotation makes no sense", async () => {
    const api = await KubeApiServer.start();
    for (const text of ["nonsense", "9.9.9.1,9.9.9.2", "9.9.9.1/24"]) {
      api.put(NODE, { ...external("9.9.9.3"), ...annotated(text) });
      expect(await ends(node(api, { wait: 2 }))).toContain(
        `its annotation culvert.io/external-address: "${text}": must be an IP address, or one of each family with a comma`,
      );
    }
  });

  it("where the API cannot be reached, its certificate is another's, or its token is missing", async () => {
    const api = await KubeApiServer.start();
    const other = await KubeApiServer.start();
    const ask = (kubernetes: object) =>
      ends({ node: { name: "n" }, kubernetes: { ...api.section, ...kubernetes }, wait: 2 });
    expect(await ask({ server: "https://127.0.0.1:1" })).toContain("node n could not be read: connect ECONNREFUSED");
    expect(await ask({ caFile: other.section.caFile })).toMatch(/node n could not be read: .*(self-signed|signature)/);
    expect(await ask({ tokenFile: "/nowhere/token" })).toContain(
      "ENOENT: no such file or directory, open '/nowhere/token'",
    );
  });

  it("where no STUN server answers", async () => {
    const server = await startMappingServer(undefined);
    expect(await ends({ stun: { servers: [server.name] }, wait: 0.5 })).toContain("STUN has not answered");
  });

  it("where two addresses would be one", async () => {
    expect(await ends({ ipv4: "9.9.9.2" }, { addresses: ["127.0.0.1", "127.0.0.2"] })).toBe(
      "relay.addresses[1]: 127.0.0.2: must name its external address itself (public/private), since 9.9.9.2 is another one's (CULVERT_RELAY_ADDRESSES)",
    );
  });

  it("where the keys contradict each other", async () => {
    const service = { name: "relay" };
    expect(await ends({ service, node: {} })).toContain("relay.externalAddress.service: ");
    expect(await ends({ service, stun: { servers: ["stun.example.org"] } })).toContain("relay.externalAddress.stun: ");
    expect(await ends({ stun: { servers: ["stun.example.org:0"] } })).toContain(
      "relay.externalAddress.stun.servers[0]: stun.example.org:0: must be host or host:port",
    );
    expect(await ends({ ipv4: "::1" })).toContain("relay.externalAddress.ipv4: ::1: must be an IPv4 address");
    expect(await ends({ node: {} })).toContain(
      "relay.externalAddress.kubernetes.server: missing: must be set outside of a cluster",
    );
  });
});
