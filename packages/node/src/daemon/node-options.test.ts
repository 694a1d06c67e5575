import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { daemonNodeOptions } from "./node-options.ts";

describe("what node is given to run a daemon", () => {
  it("is the same for who starts the command by hand as for our launchers", () => {
    const first = readFileSync(join(import.meta.dirname, "../../bin/aetherd.js"), "utf8").split("\n")[0];
    expect(first).toBe(`#!/usr/bin/env -S node ${daemonNodeOptions.join(" ")}`);
  });
});
