import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Answers, MediaReport, OpenCalls, OpenReport, Order, Request, Response } from "../media/messages.ts";
import type { Stage } from "./stage.ts";

const MAIN = fileURLToPath(new URL("../media/main.ts", import.meta.url));

/** The media process, by name of what it can be told. */
export class Media {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, { resolve(answer: never): void; reject(error: Error): void }>();
  #lastId = 0;

  /** @param namespace the network namespace in which clients and peers live */
  static start(stage: Stage, namespace?: string): Media {
    const node = ["--conditions=development", "--import", "tsx", MAIN];
    const [file, args] =
      namespace === undefined
        ? [process.execPath, node]
        : ["ip", ["netns", "exec", namespace, process.execPath, ...node]];
    const child = spawn(file, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    const media = new Media(child);
    stage.atEnd(() => media.#end());
    return media;
  }

  private constructor(child: ChildProcess) {
    this.#process = child;
    child.on("message", (response: Response) => {
      const waiting = this.#waiting.get(response.id);
      this.#waiting.delete(response.id);
      if ("error" in response) waiting?.reject(new Error(`media: ${response.error}`));
      else waiting?.resolve(response.answer as never);
    });
    child.on("exit", (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`media: ended (${code ?? signal})`));
      this.#waiting.clear();
    });
  }

  /** Opens calls. Fails unless all of them opened. */
  async open(order: Omit<OpenCalls, "do">): Promise<OpenReport> {
    const report = await this.tell({ do: "open", ...order });
    if (report.failures.length > 0) {
      throw new Error(`${report.failures.length} calls did not open: ${report.failures.slice(0, 3).join("; ")}`);
    }
    return report;
  }

  async mark(): Promise<void> {
    await this.tell({ do: "mark" });
  }

  /** Waits until all calls flow. What comes then tells if they do not. */
  async flow(): Promise<void> {
    await this.tell({ do: "flow" });
  }

  report(settleMs?: number): Promise<MediaReport> {
    return this.tell({ do: "report", ...(settleMs === undefined ? {} : { settleMs }) });
  }

  tell<Name extends Order["do"]>(order: Extract<Order, { do: Name }>): Promise<Answers[Name]> {
    const id = ++this.#lastId;
    const request: Request = { id, order };
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#process.send(request);
    });
  }

  async #end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await ended;
  }
}
