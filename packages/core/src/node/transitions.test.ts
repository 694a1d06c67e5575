import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { nodeEvents } from "./events.ts";
import {
  contactEvent,
  contacts,
  duties,
  dutyAfter,
  dutyTransitions,
  isContactEvent,
  renderDutyDiagram,
  renderDutyTable,
} from "./transitions.ts";

const page = join(import.meta.dirname, "../../../../docs/internals/node-duty.md");
const words = `# The duty of a node

Generated from the table in \`packages/core/src/node/transitions.ts\`, the only place where the legal transitions are said. Contact
(unknown, reachable, suspected, lost) is a facet of its own: silence never changes a duty.

`;

describe("the duties of a node", () => {
  it("allow from each duty exactly these events, and no others", () => {
    const events = nodeEvents.map(({ type }) => type).filter((type) => !isContactEvent(type));
    const legal = [undefined, ...duties].map((from) => [
      from ?? "none",
      events.filter((event) => dutyAfter(from, event) !== undefined),
    ]);
    expect(Object.fromEntries(legal)).toEqual({
      none: ["NodeExpected"],
      joining: ["NodeJoined", "NodeMemberReplaced", "NodeAdmitted", "NodeShutdownStarted", "NodeRecovered"],
      "on-duty": ["NodeMemberReplaced", "NodeDrainStarted", "NodeShutdownStarted", "NodeRecovered"],
      draining: ["NodeDrained", "NodeDrainCancelled", "NodeShutdownStarted", "NodeRecovered"],
      decommissioned: ["NodeDrainCancelled", "NodeShutdownStarted", "NodeRecovered"],
      "shutting-down": ["NodeLeft", "NodeForgotten", "NodeRecovered"],
    });
  });

  it("never lead from shutting down back to work, nor skip the drain without a shutdown: a recovery apart, which has no other disk", () => {
    const back = dutyTransitions.filter(({ from, to }) => from === "shutting-down" && to !== "shutting-down" && to !== null);
    expect(back.map(({ event }) => event)).toEqual(["NodeRecovered"]);
    expect(dutyTransitions.filter(({ from, to }) => from !== "draining" && to === "decommissioned")).toEqual([]);
    expect(dutyTransitions.filter(({ from, to }) => from !== "on-duty" && to === "draining")).toEqual([]);
  });

  it("can all be reached and all be left", () => {
    for (const duty of duties) {
      expect(dutyTransitions.some(({ from, to }) => to === duty && from !== duty)).toBe(true);
      expect(dutyTransitions.some(({ from, to }) => from === duty && to !== duty)).toBe(true);
    }
  });

  it("are drawn in docs/internals/node-duty.md (rewrite it with AETHER_REWRITE=1)", () => {
    const text = `${words}\`\`\`mermaid\n${renderDutyDiagram()}\`\`\`\n\n${renderDutyTable()}`;
    if (process.env["AETHER_REWRITE"] === "1") writeFileSync(page, text);
    expect(readFileSync(page, "utf8")).toBe(text);
    expect(text).not.toContain("on-duty -->");
  });
});

describe("contact", () => {
  it("changes by these steps only: nothing becomes unknown again, and a suspicion does not soften a loss", () => {
    const steps = contacts.flatMap((from) =>
      contacts.filter((to) => contactEvent(from, to) !== undefined).map((to) => `${from} ${to}`),
    );
    expect(steps).toEqual([
      "unknown reachable",
      "unknown suspected",
      "unknown lost",
      "reachable suspected",
      "reachable lost",
      "suspected reachable",
      "suspected lost",
      "lost reachable",
    ]);
  });
});
