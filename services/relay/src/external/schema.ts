import { isIP } from "node:net";
import { z } from "zod";
import type { ExternalAddressConfig } from "./config.ts";

const STUN_PORT = 3478;
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
/** RFC 1123, as Kubernetes names its objects. */
const OBJECT_NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const ANNOTATION = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

const objectName = (): z.ZodString =>
  z.string().regex(OBJECT_NAME, "must be a name of Kubernetes: lower-case letters, digits, dashes and dots");

const stunServer = z.string().transform((text, context) => {
  const [, bracketed, plain, port = String(STUN_PORT)] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const number = Number(port);
  if (host !== undefined && (bracketed === undefined || isIP(bracketed) === 6) && number >= 1 && number <= 65_535) {
    return { host, port: number };
  }
  context.issues.push({
    code: "custom",
    input: text,
    message: "must be host or host:port, an IPv6 address in brackets",
  });
  return z.NEVER;
});

const address = (family: 4 | 6): z.ZodString =>
  z.string().refine((ip) => isIP(ip) === family, `must be an IPv${family} address`);

/** Section `relay.externalAddress`: how clients and peers know this relay. */
export function externalAddressSection(): z.ZodExactOptional<z.ZodType<ExternalAddressConfig>> {
  return z
    .strictObject({
      ipv4: address(4)
        .exactOptional()
        .describe("External address of relay.addresses of IPv4 that name none themselves."),
      ipv6: address(6).exactOptional().describe("The same for IPv6."),
      allowPrivate: z
        .boolean()
        .default(false)
        .describe("Start although an address that peers are told is not public. For private networks."),
      wait: z
        .number()
        .min(0)
        .max(3600)
        .default(30)
        .describe("Seconds that a starting relay waits for its external address. Then it ends with one line."),
      node: z
        .strictObject({
          name: objectName()
            .exactOptional()
            .describe("Name of the Kubernetes node. Default: CULVERT_NODE_NAME or NODE_NAME."),
          annotation: z
            .string()
            .regex(ANNOTATION, "must be the name of an annotation, such as culvert.io/external-address")
            .default("culvert.io/external-address")
            .describe("Annotation of the node with the external address, or with one of each family and a comma."),
        })
        .exactOptional()
        .describe("Takes the annotation of the Kubernetes node, or else its address of the type ExternalIP."),
      service: z
        .strictObject({
          name: objectName().describe("Name of the Service whose load balancer leads here."),
          namespace: objectName()
            .exactOptional()
            .describe("Its namespace. Default: CULVERT_POD_NAMESPACE, POD_NAMESPACE, or that of the service account."),
        })
        .exactOptional()
        .describe("Takes the address that a Kubernetes Service has by its load balancer."),
      stun: z
        .strictObject({
          servers: z
            .array(stunServer)
            .min(1)
            .describe("host:port of STUN servers, port 3478 where none is named. What most of them see counts."),
          interval: z
            .number()
            .min(1)
            .max(86_400)
            .default(30)
            .describe("Seconds between questions. Another answer counts once it was given twice in a row."),
        })
        .exactOptional()
        .describe("Takes the address that STUN servers see, where nothing above says one."),
      kubernetes: z
        .strictObject({
          server: z
            .string()
            .refine(isApi, "must be a URL such as https://10.96.0.1:443")
            .exactOptional()
            .describe("The Kubernetes API. Default: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT."),
          tokenFile: z
            .string()
            .min(1)
            .default(`${SERVICE_ACCOUNT}/token`)
            .describe("The service account's token. Read for each request."),
          caFile: z
            .string()
            .min(1)
            .default(`${SERVICE_ACCOUNT}/ca.crt`)
            .describe("PEM file with the authorities of the API."),
        })
        .prefault({})
        .describe("How the Kubernetes API is reached, for node and service."),
    })
    .refine(({ node, service }) => node === undefined || service === undefined, {
      path: ["service"],
      message: "must not be set together with relay.externalAddress.node: a load balancer's address is not the node's",
    })
    .refine(({ stun, service }) => stun === undefined || service === undefined, {
      path: ["stun"],
      message:
        "must not be set together with relay.externalAddress.service: STUN sees where packets leave, not where a load balancer's come in",
    })
    .exactOptional()
    .describe(
      "The address that clients and peers know this relay by. The first that there is: relay.addresses[].external; ipv4, ipv6; service or node; stun; a public address of its own.",
    );
}

function isApi(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}
