/** Google's `requestId`: the same one twice is one request, whatever was lost in between. */
import { createHash } from "node:crypto";
import type { Random } from "../http/clock.ts";
import { labelKeys } from "../labels.ts";
import type { InstanceSpec } from "../provider.ts";

/** RFC 9562, 5.5: by SHA-1 from a name space and a name. */
export function uuidV5(namespace: string, name: string): string {
  const space = Buffer.from(namespace.replaceAll("-", ""), "hex");
  if (space.length !== 16) throw new Error(`${namespace} is no UUID`);
  return uuidOf(createHash("sha1").update(space).update(name).digest().subarray(0, 16), 5);
}

/** Of Aether's creates, and of nothing else. */
const creates = "6c0f8f5e-3b0a-5d1b-9d5e-7b1f1c2a4e90";

/** Of a create: who asks for the same attempt of the same node, from whichever process, says the same. */
export const createRequestId = ({ key, labels }: InstanceSpec, try_: number): string =>
  uuidV5(creates, JSON.stringify([key.cluster, labels[labelKeys.clusterId] ?? "", key.node, key.attempt, try_]));

/**
 * Of a change that may be wished again later (a stop after a start): drawn once for each wish, and the same in all its repetitions.
 */
export const drawnRequestId = (random: Random): string =>
  uuidOf(Buffer.from(Array.from({ length: 16 }, () => Math.floor(random() * 256))), 4);

function uuidOf(bytes: Buffer, version: 4 | 5): string {
  const marked = Buffer.from(bytes);
  marked[6] = ((marked[6] ?? 0) & 0x0f) | (version << 4);
  marked[8] = ((marked[8] ?? 0) & 0x3f) | 0x80;
  const hex = marked.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
