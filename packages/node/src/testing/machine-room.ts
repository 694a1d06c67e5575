/**
 * Computers for a vendor's fake. Each is a folder that stands for its disk and an address of 127.0.0.0/8; it does with its user data what a
 * machine with cloud-init and systemd does: writes the files, runs the script, starts the unit, and at a later boot starts what is enabled.
 * So what runs in the end is a real aetherd, started by nothing but its user data.
 */
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { createReadStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { once } from "node:events";
import type { Boot, Machines } from "@aether/cloud/testing/machines";
import { randomLoopback } from "./loopback.ts";
import { RoomMachine, type MachineParts } from "./room-machine.ts";

export interface MachineRoomOptions {
  /** Made if it is missing; `close` leaves it empty. */
  readonly folder: string;
  /** The daemon's entry file, with its native modules where node finds them. Each machine is given it, as an image would. */
  readonly entry: string;
  /** A real bundle to serve, which each machine then fetches and unpacks; `entry` is not used. */
  readonly bundle?: { readonly file: string; readonly sha256: string };
  /** What every process of every machine has in its environment: endpoints of the fake. Asked at each start. */
  readonly env?: () => Readonly<Record<string, string>>;
}

export interface MachineRoom extends Machines {
  /** For cluster.toml or AETHER_BUNDLE_URL. */
  readonly bundleUrl: string;
  /** Machines that are not destroyed, by the vendor's id. */
  readonly machines: ReadonlyMap<string, RoomMachine>;
  /** Resolves when all that was asked of the machines so far is done. */
  readonly settled: () => Promise<void>;
  /** Ends every process and removes every machine. */
  readonly close: () => Promise<void>;
}

const machinesMax = 200;

/** Serves its bundle on 127.0.0.1. */
export async function openMachineRoom(o: MachineRoomOptions): Promise<MachineRoom> {
  const tools = join(o.folder, "tools");
  mkdirSync(tools, { recursive: true });
  writeFileSync(join(tools, "systemctl"), systemctl);
  chmodSync(join(tools, "systemctl"), 0o755);
  const { server, bundleUrl, sha256 } = await serveBundle(o);
  const first = randomLoopback().split(".").map(Number);
  const machines = new Map<string, RoomMachine>();
  const going = new Set<Promise<void>>();
  let made = 0;
  const nextAddress = (): string => {
    made += 1;
    return `127.${first[1]}.${((first[2] ?? 0) + Math.floor(made / 250)) % 254}.${2 + (made % 250)}`;
  };
  const parts: MachineParts = {
    tools,
    env: o.env ?? (() => ({})),
    installed: o.bundle === undefined ? { entry: o.entry, sha256 } : null,
  };
  const track = (work: Promise<void> | undefined): void => {
    if (work === undefined) return;
    going.add(work);
    void work.finally(() => going.delete(work));
  };
  const settled = async (): Promise<void> => {
    while (going.size > 0) await Promise.all(going);
  };
  return {
    bundleUrl,
    machines,
    settled,
    boot: (boot: Boot) => {
      if (machines.size >= machinesMax) throw new Error(`this room has places for ${machinesMax} machines`);
      const address = nextAddress();
      const machine = new RoomMachine(parts, boot.name, join(o.folder, boot.id), address);
      machines.set(boot.id, machine);
      track(machine.boot(boot.userData));
      return address;
    },
    // A vendor also switches and deletes what it had no room to boot.
    start: (id) => track(machines.get(id)?.start()),
    stop: (id, how) => track(machines.get(id)?.stop(how)),
    destroy: (id) => {
      track(machines.get(id)?.destroy());
      machines.delete(id);
    },
    close: async () => {
      for (const machine of machines.values()) track(machine.destroy());
      machines.clear();
      await settled();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
      await rm(tools, { recursive: true, force: true });
    },
  };
}

/** Notes what is to be started; the room, which is the machines' systemd, does it. */
const systemctl = `#!/bin/sh
set -eu
verb=$1
shift
[ "\${1:-}" = --no-block ] && shift
case $verb in
  daemon-reload) ;;
  enable | start) mkdir -p "$AETHER_ROOT/run/$verb" && : >"$AETHER_ROOT/run/$verb/$1" ;;
  *) echo "this systemctl cannot $verb" >&2; exit 1 ;;
esac
`;

async function serveBundle(
  o: MachineRoomOptions,
): Promise<{ readonly server: Server; readonly bundleUrl: string; readonly sha256: string }> {
  const { bundle } = o;
  const text = "The machines of this room have their bundle already.\n";
  const sha256 = bundle?.sha256 ?? createHash("sha256").update(text).digest("hex");
  const server = createServer((_req, res) => {
    if (bundle === undefined) return void res.end(text);
    createReadStream(bundle.file)
      .on("error", () => res.destroy())
      .pipe(res);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  await mkdir(o.folder, { recursive: true });
  return {
    server,
    bundleUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/aether.tar.gz#sha256=${sha256}`,
    sha256,
  };
}
