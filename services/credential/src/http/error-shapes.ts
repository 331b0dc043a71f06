import { STATUS_CODES } from "node:http";
import { StoreUnavailable } from "@culvert/state";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import { z } from "zod";
import { ApiError } from "../errors.ts";
import type { CredentialMetrics } from "../metrics.ts";
import type { RouteShape } from "./context.ts";

/** How an API says that something went wrong. */
export interface ErrorShape {
  readonly schema: z.ZodType;
  body(error: ApiError): object;
}

/** Culvert's own. */
export const CULVERT_ERROR: ErrorShape = {
  schema: z
    .object({
      error: z.object({ code: z.string().describe("Stable word."), message: z.string().describe("For people.") }),
    })
    .describe("What went wrong."),
  body: ({ code, message }) => ({ error: { code, message } }),
};

/** The envelope of Cloudflare's API. */
export const CLOUDFLARE_ERROR: ErrorShape = {
  schema: z
    .object({
      success: z.literal(false),
      errors: z.array(z.object({ code: z.int().describe("The HTTP status."), message: z.string() })),
      messages: z.array(z.string()),
      result: z.null(),
    })
    .describe("What went wrong."),
  body: ({ status, message }) => ({ success: false, errors: [{ code: status, message }], messages: [], result: null }),
};

const TWILIO_CODES: Readonly<Record<number, number>> = {
  400: 20001,
  401: 20003,
  403: 20403,
  404: 20404,
  429: 20429,
  500: 20500,
  503: 20503,
};

/** The error object of Twilio's API. */
export const TWILIO_ERROR: ErrorShape = {
  schema: z
    .object({ code: z.int(), message: z.string(), more_info: z.string(), status: z.int().describe("The HTTP status.") })
    .describe("What went wrong."),
  body: ({ status, message }) => {
    const code = TWILIO_CODES[status] ?? 20001;
    return { code, message, more_info: `https://www.twilio.com/docs/errors/${code}`, status };
  },
};

/** The responses of a route other than success, for its schema. */
export function errorResponses(shape: ErrorShape, ...statuses: readonly number[]): Record<number, z.ZodType> {
  const all = [...statuses, 400, 401, 403, 413, 429, 500, 503];
  return Object.fromEntries(all.map((status) => [status, shape.schema.describe(STATUS_CODES[status] ?? "Error")]));
}

/** Makes whatever was thrown an answer that says what the caller can mend and nothing else. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (hasZodFastifySchemaValidationErrors(error)) {
    const [issue] = error.validation;
    const path = (issue?.instancePath ?? "").slice(1).replaceAll("/", ".");
    const message = issue?.message ?? "is not valid";
    return new ApiError(
      400,
      "invalid_request",
      path === "" ? `${error.validationContext}: ${message}` : `${path}: ${message}`,
    );
  }
  if (isFastifyError(error) && error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    const code = (STATUS_CODES[error.statusCode] ?? "error").toLowerCase().replace(/[^a-z]+/g, "_");
    return new ApiError(error.statusCode, code, error.message);
  }
  if (error instanceof StoreUnavailable) {
    return new ApiError(503, "unavailable", "the service cannot reach its store; try again in 1 s", 1);
  }
  return new ApiError(500, "internal", "the service failed; the request may be tried again");
}

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && "code" in error && "statusCode" in error;
}

/** An error handler that answers in one shape and counts what was refused. */
export function errorHandler(
  shape: ErrorShape,
  metrics: CredentialMetrics,
  counted: RouteShape,
): (error: unknown, request: FastifyRequest, reply: FastifyReply) => FastifyReply {
  return (error, request, reply) => {
    const answer = toApiError(error);
    if (answer.status >= 500) request.log.error({ err: error, route: request.routeOptions.url }, "request failed");
    if (counted !== "admin") metrics.refused(counted, answer.code);
    if (answer.status === 401 && counted === "twilio") reply.header("www-authenticate", 'Basic realm="culvert"');
    else if (answer.status === 401) reply.header("www-authenticate", 'Bearer realm="culvert"');
    if (answer.retryAfter !== undefined) reply.header("retry-after", String(answer.retryAfter));
    return reply
      .code(answer.status)
      .type("application/json; charset=utf-8")
      .serializer(JSON.stringify)
      .send(shape.body(answer));
  };
}
