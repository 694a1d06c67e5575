/** What a pack's bytes are, as git has them, and what its files are called. */
import type { ObjectKind } from "./object.ts";

export const kindCodes: Readonly<Record<ObjectKind, number>> = { commit: 1, tree: 2, blob: 3, tag: 4 };
export const offsetDelta = 6;
export const nameDelta = 7;
export const packHeadBytes = 12;
const packMagic = "PACK";
const packVersion = 2;

/** Whether a file is what a killed writer left. */
export const isLeftOver = (name: string): boolean => name.startsWith("making-");

export interface PackMade {
  /** `pack-<sha1>`, without an ending. */
  readonly name: string;
  readonly objects: number;
  /** Of pack and index. */
  readonly bytes: number;
}

/** How a pack of so many objects begins. */
export function packHead(objects: number): Buffer {
  const head = Buffer.alloc(packHeadBytes);
  head.write(packMagic, 0);
  head.writeUInt32BE(packVersion, 4);
  head.writeUInt32BE(objects, 8);
  return head;
}

/** Kind and length: four bits of it in the first byte, seven in each that follows, lowest first. */
export function objectHead(code: number, length: number): Buffer {
  const bytes: number[] = [];
  let byte = code * 16 + (length % 16);
  for (let rest = Math.floor(length / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes.push(byte + 128);
    byte = rest % 128;
  }
  return Buffer.from([...bytes, byte]);
}

/** How far back the base begins: seven bits a byte, highest first, each but the last one less than it says. */
export function distance(back: number): Buffer {
  const bytes = [back % 128];
  for (let rest = Math.floor(back / 128); rest > 0; rest = Math.floor(rest / 128)) {
    rest -= 1;
    bytes.unshift(128 + (rest % 128));
  }
  return Buffer.from(bytes);
}
