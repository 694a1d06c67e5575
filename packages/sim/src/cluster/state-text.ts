import type { SimNode } from "./node.ts";

/** Where every node stands, in one line, for a rule that was not met in time. */
export function stateOf(nodes: readonly SimNode[]): string {
  const lines = nodes.map(({ name, member, process, opened, running }) => {
    if (running === null) {
      const phase = process === null ? "is down" : opened === null ? "is opening" : "asks others about its disk";
      return `${name} (${member ?? "no number"}) ${phase}`;
    }
    const { role, hard, last, applied, membership } = running.driver.status();
    const { voters, outgoing, learners } = membership;
    const log = `term ${hard.term} commit ${hard.commit} last ${last.index} applied ${applied}`;
    return `${name} (${member}) ${role.state} ${log} voters ${voters.join()} out ${outgoing.join()} learners ${learners.join()}`;
  });
  return lines.join("; ");
}
