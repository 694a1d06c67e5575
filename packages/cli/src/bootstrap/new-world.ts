/** The rows of a cluster that is being made, as far as a backup's things take their place. */
import type { Stored, World } from "@aether/core/kernel/world";
import type { Api, SettingsAnswer } from "../context/api.ts";

/**
 * Nouns whose things belong to the place: which machines there are, who they are and whether they are on duty. Those of a new cluster are
 * its own, whatever the backup says.
 */
export const nounsOfThePlace: readonly string[] = ["cluster", "node"];

const readers: Readonly<Record<string, (api: Api) => Promise<readonly Stored[]>>> = { setting: readSettings };
/** Nouns whose rows are read; with those of the place they are all that backups hold. */
export const nounsRead: readonly string[] = Object.keys(readers);

/** What is there now, as a quorum confirms it. Nouns of the place are not in it: they are not planned. */
export async function readWorld(api: Api): Promise<World> {
  const rows = new Map<string, ReadonlyMap<string, Stored>>();
  for (const [noun, read] of Object.entries(readers))
    rows.set(noun, new Map((await read(api)).map((stored) => [stored.id, stored])));
  return {
    get: <R>(noun: string, id: string) => rows.get(noun)?.get(id) as Stored<R> | undefined,
    all: <R>(noun: string) => (rows.get(noun)?.values() ?? []) as Iterable<Stored<R>>,
    count: (noun) => rows.get(noun)?.size ?? 0,
  };
}

async function readSettings(api: Api): Promise<readonly Stored[]> {
  const { settings } = await api.call<SettingsAnswer>("GET", "/v1/settings");
  return settings.map(({ key, value, description, version, index, at }) => ({
    ...{ id: key, version, index, at },
    row: { value, description },
  }));
}
