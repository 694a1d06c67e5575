import { make } from "effect/Redacted";
import { describe, expect, it } from "vitest";
import { redactor } from "./redaction.ts";

const token = "hcloud/TOKEN+0123456789abcdef";
const userData = '#cloud-config\nwrite_files:\n  - path: /etc/aether.json\n    content: \'{"ticket":"one-time-7f3a9c2b11"}\'\n';
const clean = redactor([make(token), make(userData)]);

describe("redaction", () => {
  it.each([
    ["as it is", `token ${token} is not valid`],
    ["in a URL", `GET /x?t=${encodeURIComponent(token)}`],
    ["in JSON", JSON.stringify({ error: { message: userData } })],
    ["in base64", Buffer.from(userData).toString("base64")],
    ["in the middle of some base64", Buffer.from(`a:${token}:b`).toString("base64")],
    ["in the middle of other base64", Buffer.from(`ab:${token}:b`).toString("base64url")],
    ["cut off", `invalid user_data near: ${userData.slice(30, 100)}`],
    ["one word of it", "bad value one-time-7f3a9c2b11 in line 3"],
  ])("finds a secret %s", (_, text) => {
    const shown = clean(text);
    expect(shown).toContain("<redacted>");
    expect(shown).not.toContain("0123456789abcdef");
    expect(shown).not.toContain("7f3a9c2b11");
    expect(Buffer.from(shown, "base64").toString()).not.toContain("7f3a9c2b11");
    expect(Buffer.from(shown.replace(/<redacted>.*/, ""), "base64").toString()).not.toContain("0123456789");
  });

  it("leaves the rest readable, on one line and short", () => {
    expect(clean("server type cx22 is unknown")).toBe("server type cx22 is unknown");
    expect(clean("a\r\nb\u0000c")).toBe("a b c");
    expect(clean("word ".repeat(1000))).toHaveLength(601);
  });

  it("masks before it cuts, so that no half of a secret stands at the edge", () => {
    expect(clean("x".repeat(590) + token)).not.toContain("hcloud/");
  });
});
