/** `aetherd --birth FILE`: a machine that is to become a node. Waits for its maker once; from then on it is the node's daemon. */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { exitCodes, type ExitCode } from "../daemon/exit-codes.ts";
import { standardLog } from "../daemon/log.ts";
import { readIfThere } from "../member/durable-file.ts";
import { parseBirth } from "./birth-file.ts";
import { fileNames } from "./gift.ts";
import { awaitMaker, type WaitEnded } from "./waiting-room.ts";

/** A ticket that nobody has used by then is not waited on any more: a reboot opens the door again. */
const waitMs = 3_600_000;

/** The configuration to run with, or why not and with which code the process ends. */
export type Born = { readonly configuration: string } | { readonly code: ExitCode; readonly errors: readonly string[] };

/**
 * Resolves with the path of the node's configuration as soon as there is one. The node's files lie in STATE_DIRECTORY (set by systemd) or beside
 * the birth file; it waits on AETHER_BIND or on all addresses.
 */
export async function beBorn(birthFile: string, env: NodeJS.ProcessEnv): Promise<Born> {
  const folder = env["STATE_DIRECTORY"] ?? dirname(birthFile);
  const configuration = join(folder, fileNames.configuration);
  if ((await readIfThere(configuration)) !== null) return { configuration };
  const text = await readFile(birthFile, "utf8").catch((error: Error) => error);
  if (text instanceof Error) return refuse(`--birth ${birthFile} cannot be read: ${text.message}`);
  const parsed = parseBirth(text);
  if ("errors" in parsed) return { code: exitCodes.usage, errors: parsed.errors.map((error) => `${birthFile}: ${error}`) };
  const host = env["AETHER_BIND"] ?? "0.0.0.0";
  const log = standardLog({ node: parsed.ok.node });
  const how = await untilSignal((signal) => awaitMaker({ birth: parsed.ok, folder, host, log, waitMs, signal }));
  if (how === "born") return { configuration };
  if (how === "stopped") return { code: exitCodes.done, errors: [] };
  if (how === "tooLong") {
    return { code: exitCodes.notEnrolled, errors: [`nobody came for this machine within ${waitMs / 60_000} minutes`] };
  }
  return { code: exitCodes.inUse, errors: [`cannot wait on ${host}:${parsed.ok.port}: ${how.message}`] };
}

/** SIGTERM and SIGINT end the wait; the daemon that follows obeys them in its own way. */
async function untilSignal(wait: (signal: AbortSignal) => Promise<WaitEnded>): Promise<WaitEnded | Error> {
  const asked = new AbortController();
  const obey = (): void => asked.abort();
  process.on("SIGTERM", obey).on("SIGINT", obey);
  try {
    return await wait(asked.signal).catch((error: Error) => error);
  } finally {
    process.off("SIGTERM", obey).off("SIGINT", obey);
  }
}

const refuse = (error: string): Born => ({ code: exitCodes.usage, errors: [error] });
