/** Everything Aether knows: a noun is a folder here and one line below. */
import { backup } from "./backup-job/backup.ts";
import { cluster } from "./cluster/cluster.ts";
import { fleet } from "./fleet/fleet.ts";
import { instance } from "./instance/instance.ts";
import { makeRegistry, type Registry } from "./kernel/registry.ts";
import type { Noun } from "./kernel/noun.ts";
import { node } from "./node/node.ts";
import { restorationNouns } from "./restoration/restoration.ts";
import { setting } from "./setting/setting.ts";

/** Those whose things go into backups. */
const kept: readonly Noun[] = [cluster as Noun, node as Noun, setting as Noun];

export const registry: Registry = makeRegistry([
  ...kept,
  backup as Noun,
  instance as Noun,
  fleet as Noun,
  ...restorationNouns(kept),
]);
