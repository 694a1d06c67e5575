/** The context follows the members of a cluster in a cloud: a node that the leader has replaced has another address. */
import { errnoOf } from "@aether/cloud/local/durable-file";
import { readJournal } from "../bootstrap/journal.ts";
import { readContexts, saveContext, type Context } from "../context/contexts.ts";
import { clusterFolder } from "../context/home.ts";
import type { Shell } from "../shell/shell.ts";
import type { MemberView } from "./members.ts";

type Place = Pick<MemberView, "address" | "reach">;

/**
 * Writes the members' addresses into the saved context of this name when one answers at an address that it does not have, on the computer
 * that made the cluster: contexts elsewhere are written by people. A home that cannot be written is a note on stderr.
 */
export async function keepEndpoints(shell: Pick<Shell, "home" | "err">, used: Context, members: readonly Place[]): Promise<void> {
  const places = members.filter(({ reach }) => reach !== "elsewhere");
  const answering = places.flatMap(({ address, reach }) => (reach === "here" && address !== null ? [address] : []));
  if (answering.every((address) => used.endpoints.includes(address))) return;
  const journal = await readJournal(clusterFolder(shell.home, used.cluster.name).journal);
  if (journal?.cloud === undefined || journal.identity?.clusterId !== used.cluster.id) return;
  // The command line may have named another endpoint for this once.
  const saved = (await readContexts(shell.home)).contexts.find(({ name }) => name === used.name);
  if (saved === undefined || answering.every((address) => saved.endpoints.includes(address))) return;
  const rest = places.flatMap(({ address }) => (address === null || answering.includes(address) ? [] : [address]));
  try {
    await saveContext(shell.home, { ...saved, endpoints: [...answering, ...rest] }, false);
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    shell.err(`note: context ${used.name} still has the old addresses: ${code}\n`);
  }
}
