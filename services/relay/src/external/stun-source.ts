import { canonicalIp } from "@culvert/stun";
import { connectTurn } from "@culvert/turn-client";
import type { StunConfig } from "./config.ts";
import { type ByFamily, type Family, familyOf, firstOfEach, type Report, type Source } from "./source.ts";

/** How long a STUN server has for its answer, in ms: time for three transmissions. */
const ANSWER_MS = 3_000;
/** How long others have for theirs once one has answered, in ms: a relay that starts does not wait for a dead server. */
const OTHERS_MS = 300;

export interface StunSourceOptions extends StunConfig {
  /** Addresses of this host to ask from. */
  readonly from: readonly string[];
}

/** The addresses that STUN servers (RFC 8489) see. */
export class StunSource implements Source {
  readonly name: string = "STUN";
  readonly lacks: string = "has no answer";
  readonly #options: StunSourceOptions;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** What the last round saw, and what counts. */
  #seen: ByFamily = {};
  #settled: ByFamily = {};

  constructor(options: StunSourceOptions) {
    this.#options = options;
  }

  follow(report: (report: Report) => void): void {
    void this.#round(report);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #round(report: (report: Report) => void): Promise<void> {
    const { from, servers, interval } = this.#options;
    const votes = (await Promise.all(from.map((ip) => askAll(servers, ip)))).flat();
    if (this.#closed) return;
    const answers = votes.flatMap(({ ip }) => ip ?? []);
    const failures = votes.flatMap(({ problem }) => problem ?? []);
    this.#count(firstOfEach(byVotes(answers)));
    if (answers.length > 0) report({ ok: true, found: this.#settled });
    else report({ ok: false, problem: `has no answer: ${[...new Set(failures)].join("; ")}`, pending: true });
    const again = answers.length > 0 ? interval * 1000 : Math.min(interval * 1000, ANSWER_MS);
    this.#timer = setTimeout(() => void this.#round(report), again);
    this.#timer.unref();
  }

  /** A host with several ways out may be seen at another address now and then. */
  #count(now: ByFamily): void {
    const settled = { ...this.#settled };
    for (const family of ["ipv4", "ipv6"] as const satisfies readonly Family[]) {
      const ip = now[family];
      if (ip !== undefined && (settled[family] === undefined || this.#seen[family] === ip)) settled[family] = ip;
    }
    this.#settled = settled;
    this.#seen = { ...this.#seen, ...now };
  }
}

interface Vote {
  readonly ip?: string;
  readonly problem?: string;
}

/** The answers of all, or of those who answer in time. */
function askAll(servers: StunConfig["servers"], localAddress: string): Promise<readonly Vote[]> {
  const votes: Vote[] = [];
  return new Promise((resolve) => {
    const asked = servers.map(async (server) => {
      const vote = await ask(server, localAddress);
      votes.push(vote);
      if (vote.ip !== undefined) setTimeout(() => resolve(votes), OTHERS_MS).unref();
    });
    void Promise.all(asked).then(() => resolve(votes));
  });
}

async function ask({ host, port }: StunConfig["servers"][number], localAddress: string): Promise<Vote> {
  try {
    const uri = { scheme: "turn", host, port, transport: "udp" } as const;
    const client = await connectTurn({ uri, localAddress, timeoutMs: ANSWER_MS });
    try {
      const { ip } = await client.binding();
      const seen = canonicalIp(ip) ?? ip;
      return familyOf(seen) === familyOf(localAddress) ? { ip: seen } : { problem: `${host}: ${seen}: another family` };
    } finally {
      await client.close({ release: false });
    }
  } catch (error) {
    return { problem: `${host}:${port}: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** The most frequent first; of those with equal votes the one of the server that is named first. */
function byVotes(ips: readonly string[]): readonly string[] {
  const votes = new Map<string, number>();
  for (const ip of ips) votes.set(ip, (votes.get(ip) ?? 0) + 1);
  return [...votes].sort(([, a], [, b]) => b - a).map(([ip]) => ip);
}
