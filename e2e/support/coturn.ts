import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { connectTurn } from "@culvert/turn-client";
import { restAccount, type TurnAccount } from "./account.ts";
import { writeTestCertificate } from "./certificate.ts";
import { Child, requireProgram } from "./child.ts";
import { atEnd, temporaryFolder } from "./cleanup.ts";
import { eventually, Hopeless } from "./eventually.ts";
import { freePorts } from "./ports.ts";

export interface Coturn {
  readonly host: string;
  readonly port: number;
  readonly tlsPort: number;
  readonly account: TurnAccount;
  /** The certificate of the TLS listener, in PEM. */
  readonly certificate: string;
}

/** Starts coturn's server on 127.0.0.1 and ::1. It is stopped at the end of the file. */
export async function startCoturn(flags: readonly string[] = []): Promise<Coturn> {
  const program = requireProgram("/usr/bin/turnserver", "coturn");
  const folder = await temporaryFolder();
  const [port = 0, tlsPort = 0] = await freePorts(2);
  const secret = "interop";
  const { cert, key } = await writeTestCertificate(folder);
  const server = new Child(
    program,
    [
      ...["-n", "--no-cli", "--no-rfc5780", "--simple-log", "--log-file=stdout", "--realm=example.org"],
      ...["--listening-ip=127.0.0.1", "--listening-ip=::1", "--relay-ip=127.0.0.1", "--relay-ip=::1"],
      ...[`--listening-port=${port}`, `--tls-listening-port=${tlsPort}`, "--min-port=22000", "--max-port=22999"],
      ...["--use-auth-secret", `--static-auth-secret=${secret}`, "--allow-loopback-peers"],
      ...[`--cert=${cert}`, `--pkey=${key}`, `--pidfile=${join(folder, "pid")}`, `--userdb=${join(folder, "db")}`],
      ...flags,
    ],
    { cwd: folder },
  );
  atEnd(() => server.stop());
  await eventually("coturn serves", async () => {
    if (server.ended) throw new Hopeless(`coturn ended:\n${server.output}`);
    const client = await connectTurn({ uri: `turns:[::1]:${tlsPort}`, tls: { rejectUnauthorized: false } });
    await client.close();
    return true;
  });
  const account = restAccount(secret, Math.floor(Date.now() / 1000) + 3600);
  return { host: "127.0.0.1", port, tlsPort, account, certificate: await readFile(cert, "utf8") };
}
