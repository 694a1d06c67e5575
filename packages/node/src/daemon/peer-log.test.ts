import { expect, it } from "vitest";
import { makeLog } from "./log.ts";
import { makePeerLog } from "./peer-log.ts";

it("a peer that is away for a day costs one line, and its return another", () => {
  const lines: string[] = [];
  let now = 0;
  const tell = makePeerLog(
    makeLog(
      (line) => lines.push(line.slice(25)),
      () => new Date(0),
    ),
    () => now,
  );
  tell({ e: "up", peer: 2, channel: "append" });
  tell({ e: "up", peer: 2, channel: "control" });
  for (let i = 0; i < 1000; i++) tell({ e: "down", peer: 2, channel: "control", why: "ECONNREFUSED" });
  tell({ e: "up", peer: 2, channel: "control" });
  for (let i = 0; i < 1000; i++) tell({ e: "refused", peer: 9, channel: "control", name: "n9", why: "removed" });
  now = 61_000;
  tell({ e: "refused", peer: 9, channel: "control", name: "n9", why: "removed" });
  expect(lines).toEqual([
    "info peer-up peer=2",
    "info peer-down peer=2 why=ECONNREFUSED",
    "info peer-up peer=2",
    "warn peer-refused peer=9 name=n9 why=removed",
    "warn peer-refused peer=9 name=n9 why=removed",
  ]);
});
