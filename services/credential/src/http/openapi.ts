import type { FastifyDynamicSwaggerOptions } from "@fastify/swagger";

type OpenApi = NonNullable<FastifyDynamicSwaggerOptions["openapi"]>;

/** What the OpenAPI document says besides its routes. */
export const OPENAPI: OpenApi = {
  openapi: "3.1.0",
  info: {
    title: "Culvert credential API",
    version: "1.0.0",
    description:
      "Issues and revokes TURN credentials in three shapes that applications already speak, and manages tenants, signing " +
      "keys and API tokens. Errors of the Cloudflare and Twilio shapes look as theirs do; all others are " +
      '`{"error": {"code", "message"}}`.',
    license: { name: "Apache-2.0", identifier: "Apache-2.0" },
  },
  servers: [{ url: "/" }],
  tags: [
    { name: "TURN REST", description: "The REST API draft for access to TURN services, with coturn's credentials." },
    { name: "Cloudflare", description: "The shape of Cloudflare's TURN service." },
    { name: "Twilio", description: "The shape of Twilio's Network Traversal Service." },
    { name: "Signaling", description: "Tokens for the signaling service." },
    { name: "Tenants", description: "Who has keys and tokens of their own." },
    { name: "Signing keys", description: "What credentials are signed with." },
    { name: "API tokens", description: "What applications authenticate with." },
    { name: "Revocations", description: "What is refused before it expires." },
    { name: "Description", description: "This document." },
  ],
  components: {
    securitySchemes: {
      bearer: { type: "http", scheme: "bearer", description: "An API token, or the administrator's." },
      basic: { type: "http", scheme: "basic", description: "Account SID or token id, and the token." },
      key: { type: "apiKey", in: "query", name: "key", description: "An API token." },
      keyHeader: { type: "apiKey", in: "header", name: "X-Api-Key", description: "An API token." },
    },
  },
};
