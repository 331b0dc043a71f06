import { type ApiAccess, accountOf } from "../../support/api.ts";
import { eventually } from "../../support/eventually.ts";
import type { KubeObject } from "../machine/api.ts";
import { iceServersFrom } from "../outside/application.ts";
import type { Context, Step } from "./step.ts";

const API_PORT = 8080;
/** The tenant that the chart makes. */
const KEY_ID = "default";

interface Secret extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

interface Service extends KubeObject {
  readonly status: { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] } };
}

/** Credentials by the API, from outside of the cluster, with the token that the chart made. */
export const credentials: Step = {
  name: "credentials by API",
  async run(context) {
    const { cluster, found, say } = context;
    const api = await findApi(context);
    found.api = api;
    const start = performance.now();
    const iceServers = await iceServersFrom(cluster.client, api);
    const ms = performance.now() - start;
    found.account = accountOf(iceServers);
    const urls = iceServers.flatMap((server) => server.urls);
    found.uris = urls;
    say(`${api.apiUrl} hands out ${urls.join(", ")}`);
    return [
      { what: "until they were issued", value: ms, unit: "ms" },
      { what: "URIs in the answer", value: urls.length, unit: "URIs", atLeast: 1 },
    ];
  },
};

async function findApi({ cluster, names }: Context): Promise<ApiAccess> {
  const path = `/api/v1/namespaces/${names.namespace}`;
  const secrets = await cluster.api.list<Secret>(
    `${path}/secrets?labelSelector=${encodeURIComponent(names.selector())}`,
  );
  const token = secrets.map(({ data = {} }) => data["api-token"]).find((one) => one !== undefined);
  if (token === undefined) throw new Error("no Secret of the release has api-token");
  const ip = await eventually("the API has an address", async () => {
    const service = await cluster.api.get<Service>(`${path}/services/${names.component("credential")}`);
    return service.status.loadBalancer?.ingress?.[0]?.ip;
  });
  return { apiUrl: `http://${ip}:${API_PORT}`, keyId: KEY_ID, token: Buffer.from(token, "base64").toString("utf8") };
}
