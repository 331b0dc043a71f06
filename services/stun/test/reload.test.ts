import { loadConfig } from "@culvert/config";
import { stunConfigSchema } from "@culvert/stun-service";
import { freePort, mountVolume, testCertificate } from "@culvert/testkit";
import { expect, test } from "vitest";
import { later, onEachDataPlane } from "./harness.ts";

const [OLD, NEXT] = ["the old token of two partners", "the new token of two partners"];

async function certificate() {
  const made = await testCertificate();
  made.dispose();
  return { "tls.crt": made.cert, "tls.key": made.key, "ca.crt": made.cert };
}

function mounted(files: Readonly<Record<string, string>>) {
  const volume = mountVolume(files);
  later(() => volume.dispose());
  return volume;
}

onEachDataPlane((startStun) => {
  const start = async (section: Readonly<Record<string, unknown>>) => {
    const stun = await startStun(section);
    const base = { listeners: [{ transport: "udp", ip: "127.0.0.1", port: 0 }], ops: { port: 0 }, ...section };
    const reload = (changes: Readonly<Record<string, unknown>> = {}) =>
      stun.service.reload(
        loadConfig(stunConfigSchema, { section: "stun", env: {}, defaults: base, overrides: changes }),
      );
    return { ...stun, reload };
  };

  test("partners change their token one after the other, and find each other again", async () => {
    const listen = { ip: "127.0.0.1", port: 0 };
    const helper = await start({ alternate: { port: 0 }, partner: { token: OLD, listen } });
    const target = `127.0.0.1:${helper.info.partner?.port}`;
    const asker = await start({ alternate: { port: 0 }, partner: { target, token: OLD, interval: 0.1 } });
    const state = () => asker.service.ready().checks.partner;
    await expect.poll(state).toBe("ok");
    helper.reload({ partner: { token: NEXT, listen } });
    await expect.poll(state).toBe("does not answer");
    asker.reload({ partner: { target, token: NEXT, interval: 0.1 } });
    await expect.poll(state).toBe("ok");
  });

  test("a partner's certificate is replaced in its Secret, and in what the other trusts", async () => {
    const [first, second] = [await certificate(), await certificate()];
    const own = mounted(first);
    const trusted = mounted(first);
    const tls = { cert: own.file("tls.crt"), key: own.file("tls.key") };
    const helper = await start({
      alternate: { port: 0 },
      partner: { token: OLD, listen: { ip: "127.0.0.1", port: await freePort(), tls } },
    });
    const target = `localhost:${helper.info.partner?.port}`;
    const asker = await start({
      alternate: { port: 0 },
      partner: { target, token: OLD, interval: 0.1, tls: { ca: trusted.file("ca.crt") } },
    });
    const state = () => asker.service.ready().checks.partner;
    await expect.poll(state).toBe("ok");
    own.swap(second);
    helper.reload();
    trusted.swap(second);
    asker.reload();
    await expect.poll(() => helper.metric("culvert_stun_reloads_total", { outcome: "ok" })).toBe(1);
    await helper.service.stop();
    await expect.poll(state).toBe("does not answer");
    const again = await start({
      alternate: { port: 0 },
      partner: { token: OLD, listen: { ip: "127.0.0.1", port: helper.info.partner?.port, tls } },
    });
    await expect.poll(state).toBe("ok");
    expect(again.info.partner?.port).toBe(helper.info.partner?.port);
  });
});
