/** Everything Aether knows: a noun is a folder here and one line below. */
import { backup } from "./backup-job/backup.ts";
import { cluster } from "./cluster/cluster.ts";
import { makeRegistry, type Registry } from "./kernel/registry.ts";
import type { Noun } from "./kernel/noun.ts";
import { node } from "./node/node.ts";
import { setting } from "./setting/setting.ts";

export const registry: Registry = makeRegistry([cluster as Noun, node as Noun, setting as Noun, backup as Noun]);
