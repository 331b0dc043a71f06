import { randomBytes } from "node:crypto";
import { FileWatch, isEntryPoint, type RunningProcess, reread, runProcess } from "@culvert/config";
import { writeCertificate } from "./certificate.ts";
import { loadStandaloneConfig, standaloneFiles, standaloneSchema } from "./config.ts";
import { hasLoopback6, standaloneDefaults } from "./defaults.ts";
import { type Options, parseOptions, USAGE } from "./options.ts";
import { createStandaloneService } from "./platform.ts";
import { banner, commandOf, writeReadyFile } from "./ready.ts";

/** Runs the whole platform in one process. `argv` are the words after the command's name. */
export async function main(argv: readonly string[] = process.argv.slice(2)): Promise<void> {
  await runProcess("standalone", () => {
    const options = parseOptions(argv, process.env);
    if (options.help || options.printSchema) {
      process.stdout.write(options.help ? USAGE : `${JSON.stringify(standaloneSchema(), null, 2)}\n`);
      return undefined;
    }
    return () => start(options);
  });
}

async function start({ config: file, host, readyFile }: Options): Promise<RunningProcess> {
  const certificate = await writeCertificate(host, new Date());
  try {
    const defaults = standaloneDefaults({
      host,
      loopback6: hasLoopback6(),
      certificate: { cert: certificate.cert, key: certificate.key },
      secret: () => randomBytes(32).toString("base64url"),
    });
    const source = { env: process.env, file };
    const files = new FileWatch(standaloneFiles(source));
    const load = () => loadStandaloneConfig(defaults, source);
    const config = load();
    const platform = createStandaloneService(config, { host, pretty: process.stdout.isTTY === true });
    const ready = await platform.start();
    if (readyFile !== undefined) await writeReadyFile(readyFile, ready);
    const command = commandOf(process.argv[1] ?? "", process.cwd());
    process.stdout.write(banner(ready, { command, inMemory: config.credential.redis === undefined }));
    return {
      async stop() {
        await platform.stop();
        await certificate.remove();
      },
      reload: () => platform.reload(reread("standalone", load)),
      files,
    };
  } catch (error) {
    await certificate.remove();
    throw error;
  }
}

if (isEntryPoint(import.meta.url)) await main();
