import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, it } from "vitest";
import { ADMIN, APP, type CallOptions, DEFAULT_APP, type Running, startService } from "./service.ts";

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly security?: readonly unknown[];
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required?: boolean }[];
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object }>> }>
  >;
}
interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

async function documentOf({ url }: Running): Promise<Document> {
  const response = await fetch(`${url}/openapi.json`);
  expect(response.status).toBe(200);
  const document: unknown = await response.json();
  if (!isDocument(document)) throw new Error("not an OpenAPI document");
  return document;
}
const isDocument = (value: unknown): value is Document =>
  typeof value === "object" && value !== null && "openapi" in value && "paths" in value;
const templated = (path: string): string => path.replaceAll(/:([a-zA-Z]+)/g, "{$1}");

it("is OpenAPI 3.1 by its own schema", async () => {
  const document = await documentOf(await startService());
  expect(document.openapi).toBe("3.1.0");
  const result = await new Validator().validate({ ...document });
  expect(result.errors).toBeUndefined();
  expect(result.valid).toBe(true);
});

it("holds each route of the service and no other, with a name, a summary, its security and its parameters", async () => {
  const running = await startService();
  const document = await documentOf(running);
  const documented = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(documented.sort()).toEqual(running.info.routes.map(templated).sort());

  const operations = Object.entries(document.paths).flatMap(([path, each]) =>
    Object.values(each).map((operation) => ({ path, operation })),
  );
  for (const { path, operation } of operations) {
    expect(operation.summary, path).toBeTruthy();
    expect(operation.security, path).toBeDefined();
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const described = operation.parameters?.filter((parameter) => parameter.in === "path").map(({ name }) => name);
    expect(described ?? [], path).toEqual(named);
  }
  const ids = operations.map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
});

const CF = "/v1/turn/keys/{keyId}/credentials";
const TWILIO = "/2010-04-01/Accounts/{sid}/Tokens.json";
/** Template, path, options, expected status: at least one success of each operation, and errors of each shape. */
const REQUESTS: readonly (readonly [string, string, string, CallOptions, number])[] = [
  ["GET", "/", "/?service=turn&username=alice&ttl=60", { token: DEFAULT_APP }, 200],
  ["GET", "/", "/?service=web", { token: DEFAULT_APP }, 400],
  ["GET", "/", "/?service=turn", {}, 401],
  ["POST", "/", "/?service=turn", { token: APP }, 200],
  ["POST", `${CF}/generate-ice-servers`, "/v1/turn/keys/acme/credentials/generate-ice-servers", { token: APP }, 201],
  ["POST", `${CF}/generate`, "/v1/turn/keys/acme/credentials/generate", { token: APP, json: { ttl: 5 } }, 201],
  ["POST", `${CF}/generate`, "/v1/turn/keys/acme/credentials/generate", { token: APP, json: { ttl: -5 } }, 400],
  ["POST", `${CF}/generate`, "/v1/turn/keys/none/credentials/generate", { token: APP }, 404],
  [
    "POST",
    `${CF}/{username}/revoke`,
    "/v1/turn/keys/default/credentials/1800000000:alice/revoke",
    { token: DEFAULT_APP },
    204,
  ],
  ["POST", `${CF}/{username}/revoke`, "/v1/turn/keys/acme/credentials/alice/revoke", { token: APP }, 404],
  ["POST", TWILIO, "/2010-04-01/Accounts/acme/Tokens.json", { basic: ["acme", APP] }, 201],
  ["POST", TWILIO, "/2010-04-01/Accounts/acme/Tokens.json", { basic: ["acme", "wrong"] }, 401],
  ["POST", "/v1/signaling/tokens", "/v1/signaling/tokens", { token: APP, json: { user: "alice" } }, 201],
  ["POST", "/v1/tenants", "/v1/tenants", { token: ADMIN, json: { id: "other" } }, 201],
  ["POST", "/v1/tenants", "/v1/tenants", { token: ADMIN, json: { id: "other" } }, 409],
  ["POST", "/v1/tenants", "/v1/tenants", { token: APP, json: { id: "more" } }, 403],
  ["GET", "/v1/tenants", "/v1/tenants", { token: ADMIN }, 200],
  ["GET", "/v1/tenants/{tenant}", "/v1/tenants/other", { token: ADMIN }, 200],
  ["PATCH", "/v1/tenants/{tenant}", "/v1/tenants/other", { token: ADMIN, json: { limits: { maxTtl: 9 } } }, 200],
  ["POST", "/v1/tenants/{tenant}/keys", "/v1/tenants/other/keys", { token: ADMIN, json: { kid: "o1" } }, 201],
  [
    "POST",
    "/v1/tenants/{tenant}/keys/{kid}/rotate",
    "/v1/tenants/other/keys/o1/rotate",
    { token: ADMIN, json: { kid: "o2" } },
    201,
  ],
  ["GET", "/v1/tenants/{tenant}/keys", "/v1/tenants/other/keys", { token: ADMIN }, 200],
  ["POST", "/v1/tenants/{tenant}/keys/{kid}/retire", "/v1/tenants/other/keys/o2/retire", { token: ADMIN }, 200],
  ["DELETE", "/v1/tenants/{tenant}/keys/{kid}", "/v1/tenants/other/keys/o2", { token: ADMIN }, 204],
  [
    "POST",
    "/v1/tenants/{tenant}/tokens",
    "/v1/tenants/other/tokens",
    { token: ADMIN, json: { name: "a", ttl: 9 } },
    201,
  ],
  ["GET", "/v1/tenants/{tenant}/tokens", "/v1/tenants/other/tokens", { token: ADMIN }, 200],
  ["DELETE", "/v1/tenants/{tenant}/tokens/{id}", "/v1/tenants/acme/tokens/acme-app", { token: ADMIN }, 204],
  [
    "POST",
    "/v1/tenants/{tenant}/revocations",
    "/v1/tenants/other/revocations",
    { token: ADMIN, json: { user: "a" } },
    201,
  ],
  ["GET", "/v1/tenants/{tenant}/revocations", "/v1/tenants/other/revocations", { token: ADMIN }, 200],
  ["DELETE", "/v1/tenants/{tenant}", "/v1/tenants/other", { token: ADMIN }, 204],
  ["GET", "/openapi.json", "/openapi.json", {}, 200],
];

it("describes what is answered", async () => {
  const running = await startService();
  const document = await documentOf(running);
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const succeeded = new Set<string>();
  for (const [method, template, path, options, status] of REQUESTS) {
    const answer = await running.call(method, path, options);
    const name = `${method} ${path} ${answer.status}`;
    expect(name).toBe(`${method} ${path} ${status}`);
    const response = document.paths[template]?.[method.toLowerCase()]?.responses[status];
    expect(response, name).toBeDefined();
    const schema = response?.content?.["application/json"]?.schema;
    expect(schema === undefined, name).toBe(answer.body === undefined);
    if (schema !== undefined) {
      const validate = ajv.compile(schema);
      expect(validate(answer.body) ? [] : validate.errors, name).toEqual([]);
    }
    if (status < 300) succeeded.add(`${method} ${template}`);
  }
  expect([...succeeded].sort()).toEqual(running.info.routes.map(templated).sort());
});
