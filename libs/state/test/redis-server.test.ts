import { startRedis } from "@culvert/testkit";
import { expect, onTestFinished, test } from "vitest";

test("the end of a server of the tests is told, whatever it writes until then", async () => {
  const server = await startRedis();
  onTestFinished(() => server.dispose());
  // It says goodbye.
  await server.stop("SIGTERM");
  await server.start();
  expect(await server.command("ping")).toBe("PONG");
  await server.stop("SIGTERM");
});
