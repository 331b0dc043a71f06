import { formatAddress } from "@culvert/stun";
import { ListenError, type ListenerSpec } from "../port.ts";

const CAUSES: Readonly<Record<string, string>> = {
  EADDRINUSE: "the address is in use",
  EADDRNOTAVAIL: "the address is not one of this host",
  EACCES: "no permission to bind this port (below 1024 it takes CAP_NET_BIND_SERVICE)",
  EAFNOSUPPORT: "the address family is not available on this host",
  EINVAL: "the address cannot be bound",
  EMFILE: "no file descriptors left (raise the limit of open files)",
  ENFILE: "no file descriptors left on this host",
};

export function listenError({ transport, local }: ListenerSpec, cause: string, error?: unknown): ListenError {
  return new ListenError(`listen ${transport} ${formatAddress(local)}: ${cause}`, { cause: error });
}

export function fromErrno(spec: ListenerSpec, error: unknown): ListenError {
  return listenError(spec, causeOf(error), error);
}

/** Why an address could not be bound, in one line. */
export function causeOf(error: unknown): string {
  return CAUSES[errnoOf(error)] ?? oneLine(error);
}

export function errnoOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

export function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, " ").trim();
}
