import { z } from "zod";
import { isUser, MAX_USER_LENGTH } from "../address.ts";

export type Empty = Readonly<Record<string, never>>;

export const empty: z.ZodType<Empty> = z.strictObject({});

const PRINTABLE = /^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]*$/u;

/** Names that applications choose: 1 to `max` characters, none of them a control character. */
export function label(max: number): z.ZodType<string> {
  return z.string().min(1).max(max).regex(PRINTABLE, "control characters are not allowed");
}

/** Text for people: as {@link label}, and may be empty. */
export function note(max: number): z.ZodType<string> {
  return z.string().max(max).regex(PRINTABLE, "control characters are not allowed");
}

export const user: z.ZodType<string> = z.string().max(MAX_USER_LENGTH).refine(isUser, "not a user name");

export const userList: z.ZodType<readonly string[]> = z.array(user).min(1).max(64);

/** Names one attempt to connect two peers; the peer that asks chooses it. */
export const attemptId: z.ZodType<string> = label(64);

/** Strings that the application attaches; the server passes them on and does not read them. */
export type Metadata = Readonly<Record<string, string>>;

export const metadata: z.ZodType<Metadata> = z
  .record(z.string().regex(/^[A-Za-z][A-Za-z0-9_.-]{0,63}$/), z.string().max(1024))
  .refine((entries) => Object.keys(entries).length <= 16, "at most 16 entries");

export const port: z.ZodType<number> = z.int().min(1).max(65535);

export const ip: z.ZodType<string> = z.union([z.ipv4(), z.ipv6()], "an IPv4 or IPv6 address is expected");

/** Milliseconds. */
export const duration: z.ZodType<number> = z.number().min(0).max(86_400_000);
