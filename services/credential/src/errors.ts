/** An answer other than success. `code` is stable; `message` is for the caller to read. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly code: string;
  /** Seconds after which it may go better. */
  readonly retryAfter: number | undefined;

  constructor(status: number, code: string, message: string, retryAfter?: number) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export const unauthenticated = (): ApiError =>
  new ApiError(401, "unauthenticated", "a valid API token is needed: Authorization: Bearer TOKEN");

export const forbidden = (scope: string): ApiError =>
  new ApiError(403, "forbidden", `the token does not have the scope ${scope} for this tenant`);

export const notFound = (what: string): ApiError => new ApiError(404, "not_found", `there is no such ${what}`);

export const invalid = (message: string): ApiError => new ApiError(400, "invalid_request", message);

export const conflict = (message: string): ApiError => new ApiError(409, "conflict", message);
