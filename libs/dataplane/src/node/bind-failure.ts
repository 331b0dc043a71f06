import type { BindFailure } from "@culvert/turn";

const BIND_FAILURES: Readonly<Record<string, BindFailure>> = {
  EADDRINUSE: "in-use",
  EMFILE: "no-descriptors",
  ENFILE: "no-descriptors",
  ENOBUFS: "no-descriptors",
  ENOMEM: "no-descriptors",
};

/** Why a relay socket could not be opened, by the name of the system's error. */
export const bindFailure = (code: string): BindFailure => BIND_FAILURES[code] ?? "unavailable";
