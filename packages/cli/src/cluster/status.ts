import { renderBackups, type BackupsView } from "../backup/status-text.ts";
import { renderFleet } from "../cloud/fleet-text.ts";
import type { BackupsAnswer, InstancesAnswer } from "../context/api.ts";
import type { Invocation, Run } from "../shell/command.ts";
import { exit, Failure } from "../shell/failure.ts";
import type { Shell } from "../shell/shell.ts";
import { renderTable, type Column } from "../shell/table.ts";
import { connectContext, contextOf, type Connection } from "../context/connection.ts";
import { keepEndpoints } from "./keep-endpoints.ts";
import { viewCluster, type ClusterView, type MemberView } from "./members.ts";

/** `aether cluster status`. Exit code 0 also when members are down: the picture is the answer. */
export const run: Run = async (call, shell) => {
  if (!call.switched("watch")) return show(await look(call, shell), call, shell, "");
  const everyMs = call.duration("interval") ?? 1_000;
  for (;;) {
    const view = await look(call, shell);
    show(view, call, shell, shell.outIsTerminal && call.output !== "json" ? "\u001B[H\u001B[2J" : "");
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
};

/** The members, how backups go, and in a cloud what the log says of the machines: null when nobody can say it. */
export type StatusView = ClusterView & { readonly backup: BackupsView | null; readonly fleet?: InstancesAnswer | null };

const askMs = 2_000;

async function look(call: Invocation, shell: Shell): Promise<StatusView> {
  const connection = await connectContext(await contextOf(call, shell));
  try {
    const [view, backup] = await Promise.all([viewCluster(connection, shell.home), backupsOf(connection)]);
    await keepEndpoints(shell, connection.context, view.members);
    const isInCloud = view.members.some(({ machine }) => machine !== undefined);
    return { ...view, backup, ...(isInCloud ? { fleet: await fleetOf(connection) } : {}) };
  } finally {
    connection.close();
  }
}

async function fleetOf({ api }: Connection): Promise<InstancesAnswer | null> {
  try {
    return await api.call<InstancesAnswer>("GET", "/v1/instances?consistency=stale", { timeoutMs: askMs });
  } catch (error) {
    if (error instanceof Failure) return null;
    throw error;
  }
}

async function backupsOf(connection: Connection): Promise<BackupsView | null> {
  try {
    const options = { timeoutMs: askMs };
    const { backups: _listed, ...backup } = await connection.api.call<BackupsAnswer>("GET", "/v1/backups?limit=1", options);
    return backup;
  } catch (error) {
    if (error instanceof Failure) return null;
    throw error;
  }
}

function show(view: StatusView, call: Invocation, shell: Shell, before: string): number {
  const text = call.output === "json" ? `${JSON.stringify(view)}\n` : renderStatus(view, shell, call.output === "wide");
  shell.out(before + text);
  return exit.done;
}

/** The status for people. */
export function renderStatus(view: StatusView, shell: Pick<Shell, "paint">, wide: boolean): string {
  const { paint } = shell;
  const { quorum, digests } = view;
  const health = quorum.holds
    ? paint("green", `quorum holds: ${quorum.answering} of ${quorum.voters} voters answer, ${quorum.needed} needed`)
    : paint("red", `NO QUORUM: ${quorum.answering} of ${quorum.voters} voters answer, ${quorum.needed} needed`);
  const agreement = {
    true: paint("green", `states equal at index ${digests.index}`),
    false: paint("red", `STATES DIFFER at index ${digests.index}`),
    null: paint("dim", `states not compared: ${notCompared(view)}`),
  }[String(digests.equal) as "true" | "false" | "null"];
  const leader = view.leader === null ? paint("red", "none") : paint("bold", view.leader);
  return [
    `cluster ${paint("bold", view.name)}   leader ${leader}   term ${view.term}   index ${view.index}\n`,
    `${health}   ${agreement}\n`,
    `${view.backup === null ? "" : renderBackups(view.backup, Date.now(), paint)}\n`,
    view.fleet === null || view.fleet === undefined ? "" : renderFleet(view.fleet, Date.now(), paint),
    renderTable(columns(view, paint), view.members, wide),
  ].join("");
}

function notCompared({ members }: ClusterView): string {
  return members.some((member) => member.answers) ? "members are at different indexes" : "no member answers";
}

function columns(view: ClusterView, paint: Shell["paint"]): readonly Column<MemberView>[] {
  const inCloud = view.members.some(({ machine }) => machine !== undefined);
  const process: readonly Column<MemberView>[] = [{ title: "PID", cell: (member) => String(member.pid ?? "-"), right: true }];
  const machine: readonly Column<MemberView>[] = [
    { title: "ZONE", cell: (member) => member.machine?.zone ?? "-" },
    { title: "SIZE", cell: (member) => member.machine?.size ?? "-" },
  ];
  return [
    { title: "NODE", cell: (member) => (member.name === view.leader ? paint("bold", member.name) : member.name) },
    { title: "ID", cell: (member) => String(member.id ?? "-"), right: true },
    { title: "ROLE", cell: (member) => roleText(member, paint) },
    { title: "DUTY", cell: (member) => member.duty },
    { title: "CONTACT", cell: (member) => (member.contact === "reachable" ? member.contact : paint("yellow", member.contact)) },
    { title: "APPLIED", cell: (member) => String(member.applied ?? "-"), right: true },
    { title: "LAG", cell: (member) => String(member.lag ?? "-"), right: true },
    { title: "ADDRESS", cell: (member) => member.address ?? "-" },
    ...(inCloud ? machine : process),
    { title: "INSTANCE", cell: (member) => instanceText(member, paint) },
    { title: "DATA", cell: (member) => member.dataDir ?? "-", wide: true },
    { title: "MACHINE", cell: (member) => member.machine?.id ?? "-", wide: true },
    { title: "SILENCE", cell: (member) => member.silence ?? "", wide: true },
  ];
}

/** A member that only its peers reach is no loss of the cluster's. */
function roleText({ reach, role }: MemberView, paint: Shell["paint"]): string {
  if (reach === "here") return role;
  return reach === "elsewhere" ? paint("yellow", "not reachable from here") : paint("red", "silent");
}

/** With the vendor's own word where it makes none. */
function instanceText({ state, machine }: MemberView, paint: Shell["paint"]): string {
  const fault = machine?.fault ?? null;
  if (fault === null) return state ?? "-";
  return paint("red", `${state ?? "-"}: ${fault.code === "" ? fault.tag : fault.code}`);
}
