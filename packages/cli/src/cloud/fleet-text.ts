/** What `aether cluster status` says about the machines of a cluster in a cloud, when there is something to say. */
import type { InstanceAnswer, InstancesAnswer } from "../context/api.ts";
import { counted } from "../shell/counted.ts";
import { printable } from "../shell/printable.ts";
import type { Paint } from "../shell/shell.ts";
import { humanDuration } from "../shell/table.ts";

export type FleetView = Pick<InstancesAnswer, "troubles" | "targets">;

/** A line for each thing that waits for a person or for the vendor; "" when all is well. `nowMs`: Unix milliseconds. */
export function renderFleet({ instances, troubles, targets }: InstancesAnswer, nowMs: number, paint: Paint): string {
  const since = (at: number): string => `since ${humanDuration(Math.max(0, nowMs - at))}`;
  const lines = [
    ...troubles.map((one) => paint("red", `MACHINES ${since(one.at)}: ${printable(faultText(one))}`)),
    ...instances.flatMap((one) => instanceText(one, since, paint)),
    ...(targets !== null && targets.done === null
      ? [paint("yellow", `load balancer ${printable(targets.balancer)}: to be changed ${since(targets.at)}`)]
      : []),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

type Fault = NonNullable<InstanceAnswer["fault"]>;

/** The vendor's words, and what its support asks for. */
function faultText({ tag, code, requestId, message }: Pick<Fault, "tag" | "code" | "requestId" | "message">): string {
  const facts = [tag, code === "" ? "" : `code ${code}`, requestId === "" ? "" : `request ${requestId}`];
  return `${message} (${facts.filter((fact) => fact !== "").join(", ")})`;
}

function instanceText(row: InstanceAnswer, since: (at: number) => string, paint: Paint): readonly string[] {
  const { node, state, fault, held, fruitless, why, tried, attempt } = row;
  if (held && fault !== null)
    return [paint("red", `NO MACHINE FOR ${node} ${since(fault.at)}: ${printable(faultText(fault))}; ${retry(node)}`)];
  if (held) {
    const text = `NO MACHINE FOR ${node} ${since(row.since)}: ${fruitless} came to nothing, the last: ${printable(why)}; ${retry(node)}`;
    return [paint("red", text)];
  }
  if (state === "refused" && fault !== null)
    return [paint("yellow", `no room for ${node} in ${counted(tried.length, "place")} so far: ${printable(faultText(fault))}`)];
  if (state === "stopping" || state === "stopped" || state === "removing")
    return [paint("yellow", `the machine of ${node}, attempt ${attempt}, is ${state} ${since(row.since)}: ${printable(why)}`)];
  return [];
}

const retry = (node: string): string => `mend it, then: aether node retry ${node}`;
