import { NEVER_PEERS, PRIVATE_PEERS } from "@culvert/turn";
import type { Line } from "./lines.ts";
import { cidrsOf, commonSpans, type IpSpan, parseSpan, withoutSpans } from "./ranges.ts";
import type { Settings } from "./settings.ts";

/** Realm, users and secrets. */
export function translateAuth(settings: Settings): void {
  const realm = settings.text("realm");
  if (realm !== undefined) {
    if (Buffer.byteLength(realm) > 127) settings.note("bad", settings.lines("realm"), "must have at most 127 bytes");
    else settings.set("relay.realm", realm, settings.lines("realm"));
  }
  const secrets = settings.lines("static-auth-secret").filter((line) => hasValue(settings, line));
  const bySecret = settings.line("use-auth-secret") !== undefined || secrets.length > 0;
  if (secrets.length > 0) {
    const values = [...new Set(secrets.map(({ value }) => value))];
    settings.set("relay.auth.secrets", values, [...settings.lines("use-auth-secret"), ...secrets], true);
  } else {
    settings.note(
      "none",
      settings.lines("use-auth-secret"),
      "The secrets are in coturn's database: `turnadmin -S` shows them, for `relay.auth.secrets`.",
    );
  }
  if (bySecret) settings.note("unneeded", settings.lines("user"), "Coturn takes no users where there is a secret.");
  translateUsers(settings);
}

function hasValue(settings: Settings, line: Line): boolean {
  if (line.value !== "") return true;
  settings.note("bad", [line], "needs a value");
  return false;
}

function translateUsers(settings: Settings): void {
  const users = new Map<string, { readonly password: string; readonly line: Line }>();
  for (const line of settings.lines("user")) {
    const colon = line.value.indexOf(":");
    const [username, password] = [line.value.slice(0, colon), line.value.slice(colon + 1)];
    if (colon < 1 || password === "") settings.note("bad", [line], "must be name:password");
    else if (password.startsWith("0x")) {
      const text = `The password of ${username} is given as a key, which cannot be turned back: set one in relay.auth.users.`;
      settings.note("none", [line], text);
    } else {
      settings.note("unneeded", [users.get(username)?.line], `Line ${line.number} sets the user again.`);
      users.set(username, { password, line });
    }
  }
  if (users.size === 0) return;
  const list = [...users].map(([username, { password }]) => ({ username, password }));
  const lines = [...users.values()].map(({ line }) => line);
  settings.set("relay.auth.users", list, lines, true);
}

const LOOPBACK = ["127.0.0.0/8", "::1/128"];
const spansOf = (ranges: readonly string[]): readonly IpSpan[] => ranges.flatMap((range) => parseSpan(range) ?? []);

/** Peers. In coturn what is allowed wins over what is denied, here what is denied wins: so it is left out of it. */
export function translatePeers(settings: Settings): void {
  const allowed = ranges(settings, "allowed-peer-ip");
  const denied = ranges(settings, "denied-peer-ip");
  const loopback = settings.flag("allow-loopback-peers");
  const deny = cidrsOf(withoutSpans(denied.spans, allowed.spans));
  const allow = cidrsOf(commonSpans(allowed.spans, spansOf(PRIVATE_PEERS)));
  const never = commonSpans(allowed.spans, spansOf(NEVER_PEERS));
  const dangerous = cidrsOf([...never, ...(loopback ? spansOf(LOOPBACK) : [])]);
  // What cuts a hole into a denied range is part of what the range became.
  const holes = denied.spans.length === 0 ? [] : allowed.lines;
  if (deny.length > 0) settings.set("relay.peers.deny", deny, [...denied.lines, ...holes]);
  if (allow.length > 0) settings.set("relay.peers.allow", allow, allowed.lines);
  if (dangerous.length > 0) {
    const lines = [
      ...(never.length > 0 ? allowed.lines : []),
      ...(loopback ? settings.lines("allow-loopback-peers") : []),
    ];
    settings.set("relay.peers.dangerouslyAllow", dangerous, lines);
  }
}

function ranges(
  settings: Settings,
  name: string,
): { readonly spans: readonly IpSpan[]; readonly lines: readonly Line[] } {
  const spans: IpSpan[] = [];
  const lines: Line[] = [];
  for (const line of settings.lines(name)) {
    const span = parseSpan(line.value);
    if (span === undefined)
      settings.note("bad", [line], "must be an IP address, or a range such as 10.0.0.0-10.255.255.255");
    else {
      spans.push(span);
      lines.push(line);
    }
  }
  return { spans, lines };
}
