import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exit } from "../shell/failure.ts";
import { chooseContext, forgetContext, readContexts, saveContext, type Context } from "./contexts.ts";

const context = (name: string): Context => ({
  name,
  cluster: { id: "0".repeat(32), name },
  endpoints: ["127.0.0.1:20001", "127.0.0.1:20002"],
  ca: `/x/${name}/ca.pem`,
  certificate: `/x/${name}/operator.pem`,
  key: `/x/${name}/operator.key`,
});

describe("contexts", () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "aether-contexts-"));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  it("are none before the first cluster, and that says how to make one", async () => {
    const all = await readContexts(home);
    expect(all).toEqual({ current: null, contexts: [] });
    expect(() => chooseContext(all, undefined, undefined)).toThrow(
      expect.objectContaining({ code: exit.notFound, hint: expect.stringContaining("aether cluster bootstrap") }),
    );
  });

  it("are read back as they were saved, by their owner alone", async () => {
    await saveContext(home, context("staging"), true);
    await saveContext(home, context("prod"), false);
    expect(await readContexts(home)).toEqual({ current: "staging", contexts: [context("staging"), context("prod")] });
    expect(statSync(join(home, "config.toml")).mode & 0o777).toBe(0o600);
  });

  it("are not written again when nothing changes", async () => {
    expect(await saveContext(home, context("staging"), true)).toBe(true);
    expect(await saveContext(home, context("staging"), true)).toBe(false);
  });

  it("are chosen by the flag, else by the environment, else by the current one", async () => {
    for (const name of ["a", "b", "c"]) await saveContext(home, context(name), true);
    const all = await readContexts(home);
    expect(chooseContext(all, "a", "b").name).toBe("a");
    expect(chooseContext(all, undefined, "b").name).toBe("b");
    expect(chooseContext(all, undefined, "").name).toBe("c");
  });

  it("suggest the name that was probably meant", async () => {
    await saveContext(home, context("staging"), true);
    const all = await readContexts(home);
    expect(() => chooseContext(all, "stagign", undefined)).toThrow(
      expect.objectContaining({ code: exit.notFound, hint: "did you mean: --context staging" }),
    );
  });

  it("leave another one current when the current one is forgotten", async () => {
    await saveContext(home, context("a"), true);
    await saveContext(home, context("b"), true);
    await forgetContext(home, "b");
    expect(await readContexts(home)).toEqual({ current: "a", contexts: [context("a")] });
  });

  it.each([
    ["not TOML", "current = "],
    ["a context without a key", '[contexts.a]\ncluster = "a"\ncluster_id = "0"\nendpoints = []\nca = "x"\ncertificate = "y"\n'],
    [
      "endpoints that are no list",
      '[contexts.a]\nendpoints = "x"\ncluster = "a"\ncluster_id = "0"\nca = "x"\ncertificate = "y"\nkey = "z"\n',
    ],
  ])("refuse a file with %s and never overwrite it", async (_, text) => {
    writeFileSync(join(home, "config.toml"), text);
    await expect(readContexts(home)).rejects.toMatchObject({
      code: exit.failed,
      message: expect.stringContaining("config.toml"),
    });
    await expect(saveContext(home, context("b"), true)).rejects.toMatchObject({ code: exit.failed });
  });
});
