import { encodeNonceCookie, NONCE_COOKIE_LENGTH, parseNonceCookie } from "@culvert/stun";
import { describe, expect, it } from "vitest";

describe("the nonce cookie", () => {
  it.each([
    [false, false, "obMatJos2AAAA"],
    [true, false, "obMatJos2gAAA"],
    [false, true, "obMatJos2QAAA"],
    [true, true, "obMatJos2wAAA"],
  ])("password algorithms %s, username anonymity %s", (passwordAlgorithms, usernameAnonymity, cookie) => {
    const features = { passwordAlgorithms, usernameAnonymity };
    expect(encodeNonceCookie(features)).toBe(cookie);
    expect(cookie.length).toBe(NONCE_COOKIE_LENGTH);
    expect(parseNonceCookie(`${cookie}the nonce proper`)).toEqual(features);
  });

  it("ignores bits that are not assigned", () => {
    expect(parseNonceCookie("obMatJos2////")).toEqual({ passwordAlgorithms: true, usernameAnonymity: true });
    expect(parseNonceCookie("obMatJos2P///")).toEqual({ passwordAlgorithms: false, usernameAnonymity: false });
  });

  it.each(["", "f//499k954d6OL34oL9FSTvy64sA", "obMatJos", "obMatJos2AAA", "obMatJos2AA=A", "obmatjos2AAAA"])(
    "is not in %j",
    (nonce) => {
      expect(parseNonceCookie(nonce)).toBeUndefined();
    },
  );
});
