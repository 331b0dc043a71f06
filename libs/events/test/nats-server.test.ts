import { startNats } from "@culvert/testkit";
import { onTestFinished, test } from "vitest";

test("the end of a server of the tests is told, whatever it writes until then", async () => {
  const server = await startNats();
  onTestFinished(() => server.dispose());
  // It says goodbye.
  await server.stop("SIGTERM");
  await server.start();
  await server.stop("SIGTERM");
});
