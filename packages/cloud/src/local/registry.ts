/** The local provider's memory: one small file for each instance, written before the act that it announces. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Labels } from "../provider.ts";
import { errnoOf, readIfThere, syncFolder, writeDurably } from "./durable-file.ts";
import type { ProcessId } from "./process-table.ts";

/**
 * `power` is what was last asked for. "starting" is written before a spawn: whoever finds it, with the starter gone, must look
 * for the process before making another. "deleting" is written before anything is removed.
 */
export interface InstanceRecord {
  readonly format: 1;
  readonly id: string;
  readonly name: string;
  readonly cluster: string;
  readonly attempt: number;
  readonly address: string;
  readonly labels: Labels;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** SHA-256 over the spec, hex: tells a repeated request from a different one. */
  readonly spec: string;
  readonly power: "starting" | "on" | "off" | "deleting";
  /** The newest process; null until the first spawn was recorded. */
  readonly process: ProcessId | null;
}

/** A record that cannot be read as one; nothing is concluded from it. */
export class BadRecord extends Error {
  override readonly name = "BadRecord";
}

const recordsMax = 1024;

export const recordPath = (dir: string, name: string): string => join(dir, `${name}.json`);

export const writeRecord = (dir: string, record: InstanceRecord): Promise<void> =>
  writeDurably(recordPath(dir, record.name), `${JSON.stringify(record, null, 2)}\n`, 0o600);

export async function removeRecord(dir: string, name: string): Promise<void> {
  await rm(recordPath(dir, name), { force: true });
  await syncFolder(dir);
}

/** The instance's record, or null when there is none. Throws {@link BadRecord} when it cannot be read as one. */
export async function readRecord(dir: string, name: string): Promise<InstanceRecord | null> {
  const path = recordPath(dir, name);
  const text = await readIfThere(path);
  if (text === null) return null;
  const record = parseJson(text);
  if (!isRecord(record) || record.name !== name) {
    throw new BadRecord(`${path} is not an instance record: ${text.length} bytes that this version does not understand`);
  }
  return record;
}

/** Every record of the folder, sorted by name; throws rather than leave one out. */
export async function readRecords(dir: string): Promise<readonly InstanceRecord[]> {
  const names = await listFolder(dir);
  const records = names.filter((name) => name.endsWith(".json") && !name.startsWith(".")).toSorted();
  if (records.length > recordsMax)
    throw new BadRecord(`${dir} holds ${records.length} records, at most ${recordsMax} are expected`);
  const all: InstanceRecord[] = [];
  for (const file of records) {
    const record = await readRecord(dir, file.slice(0, -".json".length));
    if (record !== null) all.push(record);
  }
  return all;
}

async function listFolder(dir: string): Promise<readonly string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is InstanceRecord {
  if (typeof value !== "object" || value === null) return false;
  const record = value as Record<string, unknown>;
  const texts = ["id", "name", "cluster", "address", "spec"].every((key) => typeof record[key] === "string");
  const numbers = ["attempt", "createdAt"].every((key) => Number.isSafeInteger(record[key]));
  const power = ["starting", "on", "off", "deleting"].includes(String(record["power"]));
  return record["format"] === 1 && texts && numbers && power && isLabels(record["labels"]) && isProcess(record["process"]);
}

const isLabels = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.values(value).every((label) => typeof label === "string");

function isProcess(value: unknown): boolean {
  if (value === null) return true;
  if (typeof value !== "object") return false;
  const { pid, start } = value as Record<string, unknown>;
  return Number.isSafeInteger(pid) && Number(pid) > 1 && typeof start === "string";
}
