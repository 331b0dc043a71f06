import { Desk } from "./desk.ts";
import type { Answers, Order, Request, Response } from "./messages.ts";
import { Storm } from "./storm.ts";

/**
 * The media process: clients and their peers, apart from what they test, so that a fault of one does not stop the clock of
 * the other. Takes orders by the channel of its parent and ends with it.
 */
const desk = new Desk();
const storm = new Storm();

async function obey(order: Order): Promise<Answers[keyof Answers]> {
  switch (order.do) {
    case "open":
      return desk.open(order);
    case "mark":
      desk.mark();
      return {};
    case "flow":
      return desk.flow();
    case "report":
      return desk.report(order.settleMs);
    case "probe":
      return desk.probe(order.waitMs);
    case "relayed":
      return { relayed: desk.relayed, servers: desk.servers };
    case "storm":
      return storm.run(order);
    case "calm":
      await storm.calm();
      return {};
    case "close":
      await desk.close(order.release);
      return {};
  }
}

const answer = (response: Response): void => {
  process.send?.(response);
};

process.on("message", ({ id, order }: Request) => {
  obey(order).then(
    (result) => answer({ id, answer: result }),
    (error: unknown) => answer({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
