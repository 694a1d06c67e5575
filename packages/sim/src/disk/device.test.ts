import { expect, it } from "vitest";
import { makeStream } from "../world/stream.ts";
import { Process, World } from "../world/world.ts";
import { Device } from "./device.ts";
import { LogDisk } from "./log-disk.ts";
import { StateFolder } from "./state-disk.ts";

const calm = { meanMs: 1, stallChance: 0, stallMs: 0, errorChance: 0, lies: false };
const put = (value: string) => [{ type: "put", key: Buffer.from("k"), value: Buffer.from(value) }] as const;

it("what a dead process still asks its disk for never comes to be, not even after another crash", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const world = new World();
    const process = new Process("n1");
    const device = new Device(world, process, () => calm, makeStream(seed, "disk"));
    const [log, state] = [new LogDisk(), new StateFolder()];
    const { keyValue, guard } = log.ports(device);
    const rows = state.open(device);
    const write = (value: string): void => {
      void keyValue.batch(put(value), { sync: true });
      void rows.write(put(value));
    };
    write("alive");
    await world.run(
      100,
      () => false,
      () => undefined,
    );
    process.die();
    write("dead");
    void guard.write(0, new Uint8Array(8).fill(1));
    await world.run(
      200,
      () => false,
      () => undefined,
    );
    const chance = makeStream(seed, "crash");
    log.crash(chance);
    state.crash(chance);
    for (const { database } of [log, state]) expect(Buffer.from(database.get(Buffer.from("k")) ?? []).toString()).toBe("alive");
    expect([...(await guard.read(0))]).not.toContain(1);
  }
});
