import { describe, expect, it } from "vitest";
import type { InstanceAnswer, InstancesAnswer } from "../context/api.ts";
import { painter } from "../shell/shell.ts";
import { renderFleet } from "./fleet-text.ts";

const now = Date.UTC(2026, 10, 22, 4, 0, 0);
const fault = {
  tag: "Quota",
  code: "resource_limit_exceeded",
  requestId: "r-17",
  message: "server limit\nreached",
  index: 40,
  at: now - 90_000,
};
const row = (more: Partial<InstanceAnswer>): InstanceAnswer => ({
  ...{
    node: "n4",
    provider: "hetzner",
    attempt: 2,
    zone: "fsn1",
    size: "cx22",
    state: "enrolled",
    id: "4711",
    address: "10.0.0.4:7400",
  },
  ...{
    spec: "",
    why: "",
    since: now - 60_000,
    tried: [],
    fruitless: 0,
    fault: null,
    held: false,
    version: 3,
    index: 40,
    at: now,
  },
  ...more,
});
const show = (more: Partial<InstancesAnswer>): string =>
  renderFleet({ index: 41, instances: [], troubles: [], targets: null, ...more }, now, painter(false));

describe("the machines in cluster status", () => {
  it("are not spoken of while all is well", () => {
    expect(show({ instances: [row({}), row({ node: "n9", state: "gone" })] })).toBe("");
  });

  it("that the vendor refuses are told with its code, its request, and what to type", () => {
    expect(show({ instances: [row({ state: "refused", held: true, fault })] })).toBe(
      "NO MACHINE FOR n4 since 1m 30s: server limit\\nreached (Quota, code resource_limit_exceeded, request r-17); " +
        "mend it, then: aether node retry n4\n",
    );
    expect(
      show({ instances: [row({ state: "gone", held: true, fruitless: 3, why: "it was not enrolled within 30 minutes" })] }),
    ).toBe(
      "NO MACHINE FOR n4 since 1m 00s: 3 came to nothing, the last: it was not enrolled within 30 minutes; mend it, then: aether node retry n4\n",
    );
    const tried = [{ zone: "fsn1", size: "cx22", code: "resource_unavailable" }];
    const noRoom = { ...fault, tag: "Capacity", code: "resource_unavailable", requestId: "" };
    expect(show({ instances: [row({ state: "refused", tried, fault: noRoom })] })).toMatch(
      /^no room for n4 in 1 place so far: .*Capacity/,
    );
  });

  it("that are taken away, troubles, and a load balancer that is not as wanted have a line each", () => {
    const targets = { balancer: "front", targets: [], index: 4, at: now - 5_000, done: null };
    const trouble = { area: "credentials" as const, ...fault, requestId: "" };
    const text = show({ instances: [row({ state: "stopping", why: "its node was lost" })], troubles: [trouble], targets });
    expect(text.trimEnd().split("\n")).toEqual([
      "MACHINES since 1m 30s: server limit\\nreached (Quota, code resource_limit_exceeded)",
      "the machine of n4, attempt 2, is stopping since 1m 00s: its node was lost",
      "load balancer front: to be changed since 5.0 s",
    ]);
  });
});
