import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openLevel } from "../level.ts";
import { crc32c } from "./crc32c.ts";
import { readRecords } from "./records.ts";

const stateOf = (bytes: Buffer): { state: string; records: number } => {
  let records = 0;
  const { state } = readRecords(bytes, () => records++);
  return { state, records };
};

describe("CRC-32C", () => {
  it("gives the check values of RFC 3720, B.4, at every alignment", () => {
    const vectors: [Buffer, number][] = [
      [Buffer.alloc(32), 0x8a9136aa],
      [Buffer.alloc(32, 0xff), 0x62a8ab43],
      [Buffer.from(Array.from({ length: 32 }, (_, at) => at)), 0x46dd794e],
      [Buffer.from("123456789"), 0xe3069283],
    ];
    for (const [bytes, expected] of vectors) {
      for (let shift = 0; shift < 4; shift++) {
        expect(crc32c(Buffer.concat([Buffer.alloc(shift), bytes]), shift, shift + bytes.length)).toBe(expected);
      }
    }
  });
});

describe("a write-ahead log written by LevelDB itself", () => {
  let dir = "";
  let file: Buffer = Buffer.alloc(0);
  /** Where each record ends. */
  const ends: number[] = [];

  /** Twelve writes, of which one spans three of the format's blocks. */
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "aether-wal-"));
    const db = await openLevel(dir, { create: true });
    for (let write = 0; write < 12; write++) {
      const value = Buffer.alloc(write === 5 ? 70_000 : 300 + write, `value ${write} `);
      await db.batch([{ type: "put", key: Buffer.from([write]), value }], { sync: true });
      const [name] = (await readdir(dir)).filter((entry) => entry.endsWith(".log")) as [string];
      file = await readFile(join(dir, name));
      ends.push(file.length);
    }
    await db.close();
  });
  afterAll(() => rm(dir, { recursive: true }));

  it("is whole, and all its records are seen", () => {
    expect(stateOf(file)).toEqual({ state: "whole", records: 12 });
  });

  it("cut anywhere is torn, or whole at the end of a record, and keeps what came before", () => {
    for (let length = 0; length < file.length; length += length < 1000 || length > file.length - 1500 ? 1 : 211) {
      const before = ends.filter((end) => end <= length).length;
      const whole = length === 0 || ends.includes(length);
      expect([length, stateOf(file.subarray(0, length))]).toEqual([length, { state: whole ? "whole" : "torn", records: before }]);
    }
  });

  it("with any byte flipped is damaged, the last record not excepted", () => {
    for (let byte = 0; byte < file.length; byte += byte < 500 || byte > file.length - 1000 ? 1 : 211) {
      const flipped = Buffer.from(file);
      flipped[byte] = (flipped[byte] as number) ^ (1 << (byte % 8));
      expect([byte, stateOf(flipped).state]).toEqual([byte, "damaged"]);
    }
  });

  it("whose tail the file system filled with zeros is torn", () => {
    expect(stateOf(Buffer.concat([file, Buffer.alloc(700)]))).toEqual({ state: "torn", records: 12 });
    const holed = Buffer.from(file);
    holed.fill(0, ends[10] as number);
    expect(stateOf(holed).state).toBe("torn");
  });

  it("whose beginning is gone is damaged", () => {
    expect(stateOf(file.subarray(32 * 1024)).state).toBe("damaged");
  });
});
