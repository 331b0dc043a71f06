import { describe, expect, it } from "vitest";
import { Lab, UDP6 } from "./support/lab.ts";
import { allocate, refresh } from "./support/requests.ts";

const config = { limits: { wrongPasswordsPerSecond: 1, wrongPasswordsBurst: 3 } };

const guess = (client: ReturnType<Lab["client"]>, count: number) =>
  Array.from({ length: count }, (_, index) => allocate(client, [], { password: `guess ${index}` }).outcome);

describe("guessing passwords", () => {
  it("ends in silence, for the right one too, until time has passed", () => {
    const lab = new Lab({ config });
    const client = lab.client();
    expect(guess(client, 4)).toEqual([401, 401, 401, "none"]);
    expect(allocate(client).outcome).toBe("none");
    expect(lab.drops()).toEqual(["rate-limited", "rate-limited"]);
    lab.advance(1000);
    expect(allocate(client).outcome).toBe("success");
  });

  it("is one source's and one user's affair", () => {
    const lab = new Lab({ config });
    guess(lab.client({ port: 1 }), 4);
    expect(allocate(lab.client({ port: 2 })).outcome).toBe("none");
    expect(allocate(lab.client({ port: 3, user: "bob" })).outcome).toBe("success");
    expect(allocate(lab.client({ ip: "8.8.1.2" })).outcome).toBe("success");
    guess(lab.client({ listener: UDP6, ip: "2600::1" }), 4);
    expect(allocate(lab.client({ listener: UDP6, ip: "2600::2" })).outcome).toBe("none");
    expect(allocate(lab.client({ listener: UDP6, ip: "2600:0:0:1::1" })).outcome).toBe("success");
  });

  it("does not lock out who has an allocation", () => {
    const lab = new Lab({ config });
    const owner = lab.client({ port: 1 });
    allocate(owner);
    guess(lab.client({ port: 2 }), 10);
    expect(refresh(owner).outcome).toBe("success");
  });

  it("takes bounded memory, and does not forget who guesses most recently", () => {
    const lab = new Lab({
      config,
      resolve: () => ({ kind: "known", claims: { tenant: "a", user: "" }, candidates: [] }),
    });
    const client = lab.client();
    guess(client, 3);
    for (let index = 0; index < 4000; index++) {
      const other = lab.client({ user: `user ${index}`, port: 2 });
      other.session.challenge = client.session.challenge;
      lab.server.handleClientInput(client.tuple, other.session.request(3), lab.now);
      lab.settle();
    }
    expect(guess(client, 1)).toEqual(["none"]);
  });
});
