import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { TransportAddress } from "@culvert/stun";
import { Inbox } from "./inbox.ts";

const PROGRAM = fileURLToPath(new URL("./ip-header-endpoint.py", import.meta.url));

/** What of an IP header a TURN server has a say in (RFC 8656 section 14). */
export interface IpHeader {
  /** DSCP and ECN: the TOS of IPv4, the traffic class of IPv6. */
  readonly tos: number;
  /** The TTL of IPv4, the hop limit of IPv6. */
  readonly ttl: number;
}

export interface DatagramWithHeader extends IpHeader {
  readonly data: Buffer;
  readonly from: TransportAddress;
}

/** A client, or a peer, that sets and sees IP headers. Node.js does neither, so it is a Python program of its own. */
export class IpHeaderEndpoint {
  readonly address: TransportAddress;
  readonly #process: ChildProcess;
  readonly #inbox: Inbox<DatagramWithHeader>;

  private constructor(process: ChildProcess, address: TransportAddress, inbox: Inbox<DatagramWithHeader>) {
    this.#process = process;
    this.address = address;
    this.#inbox = inbox;
  }

  static async open(ip: string): Promise<IpHeaderEndpoint> {
    const child = spawn("python3", [PROGRAM, ip], { stdio: ["pipe", "pipe", "inherit"] });
    const inbox = new Inbox<DatagramWithHeader>();
    const address = new Promise<TransportAddress>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", () => reject(new Error(`no socket on ${ip}`)));
      createInterface(child.stdout).on("line", (line) => {
        const { port, data, sender, ...header } = JSON.parse(line);
        if (port !== undefined) resolve({ ip, port });
        else inbox.push({ ...header, data: Buffer.from(data, "hex"), from: { ip: sender[0], port: sender[1] } });
      });
    });
    return new IpHeaderEndpoint(child, await address, inbox);
  }

  send(to: TransportAddress, data: Uint8Array | string, header: IpHeader): void {
    const order = { to: [to.ip, to.port], data: Buffer.from(data).toString("hex"), ...header };
    this.#process.stdin?.write(`${JSON.stringify(order)}\n`);
  }

  next(): Promise<DatagramWithHeader> {
    return this.#inbox.next();
  }

  close(): void {
    this.#process.kill();
  }
}
