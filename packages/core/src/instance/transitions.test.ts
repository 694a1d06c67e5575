import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { instanceEvents } from "./events.ts";
import { instanceStates, instanceTransitions, mayLive, renderInstanceTable, stateAfter } from "./transitions.ts";

const page = join(import.meta.dirname, "../../../../docs/internals/instance-states.md");
const words = `# The states of a node's machine

Generated from the table in \`packages/core/src/instance/transitions.ts\`, the only place where the legal transitions are said. Who may
change a cloud writes an intent first and a receipt afterwards; what only the vendor knows is asked of the vendor again.

`;

describe("the states of a machine", () => {
  it("allow from each state exactly these events, and no others", () => {
    const legal = [undefined, ...instanceStates].map((from) => [
      from ?? "none",
      instanceEvents.map(({ type }) => type.slice("Instance".length)).filter((type) => stateAfter(from, `Instance${type}`)),
    ]);
    expect(Object.fromEntries(legal)).toEqual({
      none: ["Wanted", "Adopted"],
      wanted: ["Accepted", "Refused", "Gone"],
      accepted: ["Running", "StopWanted", "RemovalWanted", "Gone"],
      running: ["Enrolled", "StopWanted", "RemovalWanted", "Gone"],
      enrolled: ["StopWanted", "RemovalWanted", "Gone"],
      stopping: ["Stopped", "RemovalWanted", "Gone"],
      stopped: ["RemovalWanted", "Gone"],
      removing: ["Gone"],
      gone: ["Wanted", "Adopted", "Retried"],
      refused: ["Wanted", "Adopted", "Retried"],
    });
  });

  it("let a new machine be wanted only where none may live, and end in nothing but a proof that it is gone or was never made", () => {
    for (const { from, event, to } of instanceTransitions) {
      if (event === "InstanceWanted" || event === "InstanceAdopted") expect(from !== null && mayLive(from)).toBe(false);
      if (from !== null && mayLive(from) && !mayLive(to)) expect(["InstanceGone", "InstanceRefused"]).toContain(event);
    }
  });

  it("are listed in docs/internals/instance-states.md (rewrite it with AETHER_REWRITE=1)", () => {
    const text = `${words}${renderInstanceTable()}`;
    if (process.env["AETHER_REWRITE"] === "1") writeFileSync(page, text);
    expect(readFileSync(page, "utf8")).toBe(text);
  });
});
