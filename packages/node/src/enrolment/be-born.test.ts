import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { make as redact } from "effect/Redacted";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exitCodes } from "../daemon/exit-codes.ts";
import { freePort } from "../testing/cluster-harness.ts";
import { randomLoopback } from "../testing/loopback.ts";
import { beBorn } from "./be-born.ts";
import { birthText } from "./birth-file.ts";

describe("aetherd --birth", () => {
  let [folder, file, state] = ["", "", ""];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "aether-born-"));
    [file, state] = [join(folder, "birth.json"), join(folder, "state")];
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const write = (port: number, ticket = "t".repeat(43)): void =>
    writeFileSync(
      file,
      birthText({
        cluster: { id: "0".repeat(32), name: "prod" },
        node: "n1",
        attempt: 1,
        port,
        caFingerprint: "0".repeat(64),
        ticket: redact(ticket),
      }),
    );

  it("waits for nobody once the node has its configuration, and needs its birth file no more", async () => {
    writeFileSync(join(folder, "node.json"), "{}");
    expect(await beBorn(file, {})).toEqual({ configuration: join(folder, "node.json") });
    expect(await beBorn(file, { STATE_DIRECTORY: folder })).toEqual({ configuration: join(folder, "node.json") });
  });

  it("says what is wrong with its birth file, and not what is in it", async () => {
    const missing = await beBorn(file, { STATE_DIRECTORY: state });
    expect(missing).toEqual({ code: exitCodes.usage, errors: [expect.stringContaining("cannot be read")] });
    write(7400, "planted");
    const broken = await beBorn(file, { STATE_DIRECTORY: state });
    expect(broken).toEqual({ code: exitCodes.usage, errors: [expect.stringMatching(/^(?!.*planted).*ticket/)] });
  });

  it("ends when somebody else has its port, and says so", async () => {
    const [port, host] = [await freePort(), randomLoopback()];
    write(port);
    const other = createServer().listen({ host, port });
    await new Promise((resolve) => other.once("listening", resolve));
    const born = await beBorn(file, { STATE_DIRECTORY: state, AETHER_BIND: host });
    expect(born).toEqual({ code: exitCodes.inUse, errors: [expect.stringContaining(`cannot wait on ${host}:${port}`)] });
    other.close();
  });

  it("obeys SIGTERM while it waits", async () => {
    const [port, host] = [await freePort(), randomLoopback()];
    write(port);
    const before = process.listeners("SIGTERM");
    const born = beBorn(file, { STATE_DIRECTORY: state, AETHER_BIND: host });
    await expect.poll(() => process.listeners("SIGTERM").length).toBe(before.length + 1);
    // As the signal would: to the one listener that has come.
    process.listeners("SIGTERM").find((listener) => !before.includes(listener))?.("SIGTERM");
    expect(await born).toEqual({ code: exitCodes.done, errors: [] });
    expect(process.listeners("SIGTERM")).toEqual(before);
  });
});
