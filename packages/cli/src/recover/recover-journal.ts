/**
 * `clusters/<name>/recover.json`: that a recovery was decided, and what it leads to. It is written before anything is moved and goes when
 * the new cluster stands; whoever finds it finishes what it says.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { readIfThere, syncFolder, writeDurably } from "@aether/cloud/local/durable-file";
import type { Journal } from "../bootstrap/journal.ts";
import type { ClusterFolder } from "../context/home.ts";
import { exit, Failure } from "../shell/failure.ts";

export interface RecoverJournal {
  readonly format: 1;
  /** The node whose disk is left, its data folder, and the one that it goes on in. */
  readonly node: string;
  readonly source: string;
  readonly target: string;
  readonly oldClusterId: string;
  /** Nodes of the old cluster whose instances and folders are set aside. */
  readonly others: readonly string[];
  /** What the cluster's journal will say. */
  readonly next: Journal;
}

const pathOf = (folder: Pick<ClusterFolder, "root">): string => join(folder.root, "recover.json");

export async function readRecoverJournal(folder: Pick<ClusterFolder, "root">): Promise<RecoverJournal | null> {
  const text = await readIfThere(pathOf(folder));
  if (text === null) return null;
  const found = parsed(text);
  if (found !== null) return found;
  const hint = "restore it from a copy; recovered.json in the node's data folder says how far it came";
  throw new Failure(exit.failed, `${pathOf(folder)} is not a recovery that this version understands`, hint);
}

function parsed(text: string): RecoverJournal | null {
  try {
    const value = JSON.parse(text) as Partial<RecoverJournal> | null;
    const texts = [value?.node, value?.source, value?.target, value?.oldClusterId, value?.next?.identity?.clusterId];
    const whole = value?.format === 1 && texts.every((one) => typeof one === "string") && Array.isArray(value.others);
    return whole ? (value as RecoverJournal) : null;
  } catch {
    return null;
  }
}

export const writeRecoverJournal = (folder: Pick<ClusterFolder, "root">, journal: RecoverJournal): Promise<void> =>
  writeDurably(pathOf(folder), `${JSON.stringify(journal, null, 2)}\n`, 0o600);

export async function removeRecoverJournal(folder: Pick<ClusterFolder, "root">): Promise<void> {
  await rm(pathOf(folder), { force: true });
  await syncFolder(folder.root);
}

/** Half-way between two clusters nothing else may be done with either. */
export async function refuseHalfRecovered(folder: Pick<ClusterFolder, "root">, name: string): Promise<void> {
  const found = await readRecoverJournal(folder);
  if (found === null) return;
  const message = `a recovery of ${name} from ${found.node} was begun and not finished`;
  throw new Failure(exit.rejected, message, `finish it: aether cluster recover --from-member ${found.node}`);
}
