import type { Instance } from "@aether/cloud/provider";
import { describe, expect, it } from "vitest";
import { listedMachines } from "./listed-machines.ts";

const machine = (name: string) => ({ name, labels: { "aether-node": name } }) as unknown as Instance;

describe("machines that were just made", () => {
  it("are waited for while the vendor's list lags behind", async () => {
    const lists = [[], [machine("n1")], [machine("n2"), machine("n1")]];
    const said: string[] = [];
    const look = { list: () => Promise.resolve(lists.shift() ?? []), say: (text: string) => void said.push(text) };
    const found = await listedMachines(["n1", "n2"], look, 60_000);
    expect([...found.keys()]).toEqual(["n2", "n1"]);
    expect(said).toEqual(["waiting until n1, n2 can be seen", "waiting until n2 can be seen"]);
  });

  it("are not waited for without end: what is missing then is not there", async () => {
    const look = { list: () => Promise.resolve([machine("n1")]), say: () => undefined };
    expect([...(await listedMachines(["n1", "n2"], look, 1)).keys()]).toEqual(["n1"]);
  });
});
