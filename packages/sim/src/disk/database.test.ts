import { describe, expect, it } from "vitest";
import { makeStream } from "../world/stream.ts";
import { Database, type KeyOp } from "./database.ts";

const put = (key: string, value: string): KeyOp => ({ type: "put", key: Buffer.from(key), value: Buffer.from(value) });
const content = (db: Database): string =>
  db
    .pairs()
    .map(([key, value]) => `${Buffer.from(key).toString()}=${Buffer.from(value).toString()}`)
    .join(" ");

/** What crashes of many kinds leave of a database that was written by `write`. */
const leftovers = (write: (db: Database) => void): Set<string> =>
  new Set(
    Array.from({ length: 200 }, (_, seed) => {
      const db = new Database();
      write(db);
      db.crash(makeStream(seed, "crash"));
      return content(db);
    }),
  );

describe("a simulated database after a crash", () => {
  it("holds all that was synced, always", () => {
    const left = leftovers((db) => {
      db.begin([put("a", "1"), put("b", "1")], true)();
      db.begin([put("a", "2")], true)();
    });
    expect([...left]).toEqual(["a=2 b=1"]);
  });

  it("may have lost an un-synced batch although a later synced one is there", () => {
    const left = leftovers((db) => {
      db.begin([put("a", "1")], false)();
      db.begin([put("b", "1")], true)();
    });
    expect([...left].toSorted()).toEqual(["a=1 b=1", "b=1"]);
  });

  it("may have lost what was written after a batch that failed, synced or not", () => {
    const left = leftovers((db) => {
      db.begin([put("a", "1")], true)();
      db.begin([put("b", "1")], true);
      db.begin([put("b", "1")], true)();
    });
    expect([...left].toSorted()).toEqual(["a=1", "a=1 b=1"]);
  });

  it("has a batch that was under way wholly or not at all, and says when a record was cut", () => {
    const left = leftovers((db) => {
      db.begin([put("a", "1")], true)();
      db.begin([put("b", "2"), put("c", "2")], true);
      db.begin([put("d", "3")], true);
    });
    expect([...left].toSorted()).toEqual(["a=1", "a=1 b=2 c=2", "a=1 b=2 c=2 d=3"]);
    const db = new Database();
    db.begin([put("a", "1")], true)();
    db.crash(makeStream(1, "crash"));
    expect(db.torn).toBe(false);
  });

  it("shows nothing of a batch before it has ended, and keeps its own bytes", () => {
    const db = new Database();
    const value = Buffer.from("x");
    const end = db.begin([{ type: "put", key: Buffer.from("k"), value }], true);
    value[0] = 0;
    expect(db.get(Buffer.from("k"))).toBeUndefined();
    end();
    expect(content(db)).toBe("k=x");
  });

  it("keeps a rotten bit over any crash", () => {
    const db = new Database();
    db.begin([put("k", "aaaa")], true)();
    db.rot("k", 9);
    const rotten = content(db);
    expect(rotten).not.toBe("k=aaaa");
    db.crash(makeStream(1, "crash"));
    expect(content(db)).toBe(rotten);
  });
});
