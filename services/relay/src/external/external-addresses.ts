import { ConfigError } from "@culvert/config";
import type { Logger } from "@culvert/telemetry";
import type { RelayAddress } from "../config.ts";
import { type Choice, choose, type Heard, isTold } from "./choice.ts";
import type { ExternalAddressConfig } from "./config.ts";
import type { Report, Source } from "./source.ts";
import { openSources, type SourcesOptions } from "./sources.ts";

export interface ExternalAddressesOptions extends Omit<SourcesOptions, "from"> {
  readonly config: ExternalAddressConfig;
  /** Relayed addresses of this host, with what the configuration says of each. */
  readonly relays: readonly RelayAddress[];
  readonly logger: Logger;
}

/** The external addresses of a relay: found at its start, and followed while it runs. */
export class ExternalAddresses {
  readonly #options: ExternalAddressesOptions;
  readonly #heard = new Map<Source, Heard>();
  #sources: readonly Source[] = [];
  #current: readonly RelayAddress[] = [];
  /** The last warning about each thing. */
  readonly #told = new Map<string, string>();
  #onReport: (source: Source | undefined) => void = () => {};

  constructor(options: ExternalAddressesOptions) {
    this.#options = options;
  }

  /**
   * The relayed addresses with their external ones. Rejects with a ConfigError of one line where one of them has none that
   * will do within `wait`.
   */
  async find(): Promise<readonly RelayAddress[]> {
    const { config, relays, logger } = this.#options;
    const asked = relays.filter((relay) => !isTold(relay, config));
    if (asked.length > 0) {
      this.#sources = await openSources({ ...this.#options, from: asked.map(({ ip }) => ip) });
    }
    const choices = await this.#settled();
    const problem = choices.find((choice) => !choice.ok);
    if (problem?.ok === false) throw new ConfigError(problem.line);
    this.#current = choices.flatMap((choice) => (choice.ok ? [choice.relay] : []));
    refuseShared(this.#current);
    const from = choices.flatMap((choice) => (choice.ok ? [choice.from] : []));
    logger.info({ relays: this.#current, from }, "external addresses found");
    for (const { name, problem } of this.#all()) if (problem !== undefined) this.#warn(name, problem);
    return this.#current;
  }

  /** Calls back with all relayed addresses whenever one of them has another external address. */
  follow(onChange: (relays: readonly RelayAddress[]) => void): void {
    this.#onReport = (source) => {
      const problem = source === undefined ? undefined : this.#heard.get(source)?.problem;
      if (source !== undefined) this.#warn(source.name, problem);
      this.#compare(onChange);
    };
    this.#onReport(undefined);
  }

  close(): void {
    this.#onReport = () => {};
    for (const source of this.#sources) source.close();
  }

  /** Starts the sources, and waits until it is clear what they say, though for no longer than `wait`. */
  #settled(): Promise<readonly Choice[]> {
    const { wait } = this.#options.config;
    return new Promise((resolve) => {
      const end = (choices: readonly Choice[]): void => {
        clearTimeout(late);
        this.#onReport = () => {};
        resolve(choices);
      };
      const look = (): void => {
        const choices = this.#choices();
        const isClear = choices.every((choice) => choice.ok && choice.sure);
        if (isClear || this.#hopeless(choices)) end(choices);
      };
      const late = setTimeout(() => end(this.#choices()), wait * 1000);
      this.#onReport = look;
      for (const source of this.#sources) source.follow((report) => this.#hear(source, report));
      look();
    });
  }

  /** Nobody who has no answer now will have one by itself. */
  #hopeless(choices: readonly Choice[]): boolean {
    if (choices.every(({ ok }) => ok)) return false;
    return this.#all().every(({ problem, pending }) => problem !== undefined && !pending);
  }

  #hear(source: Source, report: Report): void {
    const { name, lacks } = source;
    const found = report.ok ? report.found : this.#heard.get(source)?.found;
    this.#heard.set(source, {
      name,
      lacks,
      ...(found === undefined ? {} : { found }),
      ...(report.ok ? { pending: false } : { problem: report.problem, pending: report.pending }),
    });
    this.#onReport(source);
  }

  #all(): readonly Heard[] {
    return this.#sources.map(
      (source) => this.#heard.get(source) ?? { name: source.name, lacks: "has not answered", pending: true },
    );
  }

  #choices(): readonly Choice[] {
    const { relays, config } = this.#options;
    const heard = this.#all();
    return relays.map((relay) => choose(relay, config, heard));
  }

  /** What was good once stays until something else is. */
  #compare(onChange: (relays: readonly RelayAddress[]) => void): void {
    const next = this.#choices().map((choice, index) => this.#nextOf(choice, this.#current[index]));
    if (next.every(({ external }, index) => external === this.#current[index]?.external)) return;
    const isShared = new Set(next.map(({ ip, external = ip }) => external)).size < next.length;
    this.#warn("shared", isShared ? "two of relay.addresses would be one; what was known stays" : undefined);
    if (isShared) return;
    this.#options.logger.info(
      { relays: next, before: this.#current },
      "external address changed: new allocations get it",
    );
    this.#current = next;
    onChange(next);
  }

  #nextOf(choice: Choice, current: RelayAddress = { ip: "" }): RelayAddress {
    const { ip, external = ip } = current;
    if (!choice.ok) this.#warn(ip, `${choice.problem}; ${external} stays`);
    else if (choice.from === "this host" && external !== ip)
      this.#warn(ip, `there is none any more; ${external} stays`);
    else {
      this.#warn(ip, undefined);
      return choice.relay;
    }
    return current;
  }

  /** Says what is wrong with a thing once; undefined: nothing any more. */
  #warn(about: string, problem: string | undefined): void {
    if (this.#told.get(about) === problem) return;
    if (problem === undefined) this.#told.delete(about);
    else {
      this.#told.set(about, problem);
      this.#options.logger.warn({ about, problem }, "external address");
    }
  }
}

/** Two addresses of this host behind one are the same ports twice. */
function refuseShared(relays: readonly RelayAddress[]): void {
  const seen = new Set<string>();
  for (const [index, { ip, external = ip }] of relays.entries()) {
    if (seen.has(external)) {
      throw new ConfigError(
        `relay.addresses[${index}]: ${ip}: must name its external address itself (public/private), since ${external} is another one's (CULVERT_RELAY_ADDRESSES)`,
      );
    }
    seen.add(external);
  }
}
