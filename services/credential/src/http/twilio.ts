import { z } from "zod";
import { unauthenticated } from "../errors.ts";
import { demand } from "../tokens.ts";
import type { TurnUris } from "../uris.ts";
import { type Api, type ApiContext, authenticate, basicCredentials, principalOf } from "./context.ts";
import { errorHandler, errorResponses, TWILIO_ERROR } from "./error-shapes.ts";

/** 48 hours. */
const MAX_TTL = 172_800;

const count = z.string().regex(/^[1-9]\d{0,15}$/, "must be a whole number from 1");
const texts = z.union([z.string(), z.array(z.string())]);

const form = z.strictObject({
  Ttl: z
    .string()
    .regex(/^[1-9]\d{0,8}$/, "must be a number of seconds")
    .optional()
    .describe("Lifetime in seconds."),
  User: z
    .string()
    .optional()
    .describe("Whom quotas and revocations mean. Absent: a user of its own for each credential."),
  ClientIp: z.string().optional().describe("The only IP address that may use the credential."),
  PeerCidrs: texts.optional().describe("The only peers that may be reached. Repeat it for several prefixes."),
  MaxBps: count.optional().describe("Bytes per second of an allocation, each direction."),
  MaxAllocations: count.optional().describe("Allocations that the user may hold at once."),
});

const iceServer = z.object({
  url: z.string(),
  urls: z.string().describe("One URI, the same as url."),
  username: z.string().optional(),
  credential: z.string().optional(),
});

const token = z.object({
  account_sid: z.string(),
  date_created: z.string().describe("RFC 2822."),
  date_updated: z.string().describe("RFC 2822."),
  ice_servers: z.array(iceServer),
  password: z.string(),
  ttl: z.string().describe("Lifetime in seconds, as text."),
  username: z.string(),
});

type Credential = { readonly username: string; readonly credential: string };

function serversOf({ stun, turn }: TurnUris, credential: Credential): z.infer<typeof iceServer>[] {
  return [
    ...stun.map((uri) => ({ url: uri, urls: uri })),
    ...turn.map((uri) => ({ url: uri, urls: uri, ...credential })),
  ];
}

const number = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text));

/** Twilio's `POST /2010-04-01/Accounts/{Sid}/Tokens.json`. */
export async function twilioRoutes(api: Api, context: ApiContext): Promise<void> {
  const { issuer, metrics, uris } = context;
  api.setErrorHandler(errorHandler(TWILIO_ERROR, metrics, "twilio"));
  api.addHook(
    "preValidation",
    authenticate(context, (request) => basicCredentials(request)?.password),
  );

  api.post(
    "/2010-04-01/Accounts/:sid/Tokens.json",
    {
      schema: {
        tags: ["Twilio"],
        summary: "Issue credentials as a Token",
        description: "Basic authentication: the account SID (the tenant's id) or the token's id, and the token.",
        operationId: "createToken",
        security: [{ basic: [] }],
        consumes: ["application/x-www-form-urlencoded"],
        params: z.object({ sid: z.string().describe("The tenant's id.") }),
        body: form,
        response: { 201: token.describe("Credentials."), ...errorResponses(TWILIO_ERROR, 404, 409) },
      },
    },
    async (request, reply) => {
      const { sid } = request.params;
      const principal = principalOf(request);
      const user = basicCredentials(request)?.user;
      const isNamed = user === sid || (principal.kind === "token" && user === principal.id);
      if (!isNamed || (principal.kind === "token" && principal.tenant !== sid)) throw unauthenticated();
      demand(principal, "credentials:issue", sid);
      const { Ttl, User, ClientIp, PeerCidrs, MaxBps, MaxAllocations } = request.body;
      const issued = await issuer.issue(
        sid,
        {
          ttl: number(Ttl),
          user: User,
          clientIp: ClientIp,
          peerCidrs: typeof PeerCidrs === "string" ? [PeerCidrs] : PeerCidrs,
          maxBps: number(MaxBps),
          maxAllocations: number(MaxAllocations),
        },
        { maxTtl: MAX_TTL, longTtl: "refuse" },
      );
      metrics.minted("twilio", issued.scheme);
      const { username, password, ttl } = issued;
      const date = new Date((issued.expiresAt - ttl) * 1000).toUTCString().replace("GMT", "+0000");
      return reply.code(201).send({
        account_sid: sid,
        date_created: date,
        date_updated: date,
        ice_servers: serversOf(uris(), { username, credential: password }),
        password,
        ttl: String(ttl),
        username,
      });
    },
  );
}
