/** A cluster of one with Aether's own nouns, in which things are restored. */
import type { Command } from "@aether/core/kernel/command";
import { registry } from "@aether/core/registry";
import type { Wish } from "@aether/core/restoration/wish";
import type { Answer } from "../../types.ts";
import { OneMember } from "./one-member.ts";
import type { MemberOptions } from "./one-member.ts";

export const set = (id: string, value: unknown): Command => ({ type: "SetSetting", id, value });
export const wish = (id: string, version: number, value: unknown): Wish => ({
  noun: "setting",
  id,
  version,
  wanted: { value, description: "" },
});
export const gone = (id: string, version: number): Wish => ({ noun: "setting", id, version, absent: true });

export const begin = (id: string, things: number, parts: number): Command => {
  const source = { commit: null, index: 1, at: 1 };
  return { type: "BeginRestore", id, source, things, parts };
};
export const stage = (id: string, part: number, things: readonly Wish[]): Command => ({
  type: "StageRestorePart",
  id: `${id}/${part}`,
  things,
});
export const apply = (id: string): Command => ({ type: "ApplyRestore", id });

/** A leader with the settings a, b and c, each of version 1. */
export async function arranged(options: MemberOptions = {}): Promise<OneMember> {
  const member = await OneMember.start({ registry, ...options });
  member.lead();
  for (const [i, id] of ["a", "b", "c"].entries()) await member.ask(set(id, i));
  return member;
}

/** Begins and stages; each part is what it brings. */
export async function staged(member: OneMember, id: string, ...parts: readonly (readonly Wish[])[]): Promise<void> {
  const things = parts.reduce((sum, part) => sum + part.length, 0);
  const commands = [begin(id, things, parts.length), ...parts.map((part, i) => stage(id, i + 1, part))];
  for (const command of commands) ok(await member.ask(command));
}

export function ok(answer: Answer): Extract<Answer, { ok: true }> {
  if (!answer.ok) throw new Error(`${answer.rejection.reason}: ${answer.rejection.message}`);
  return answer;
}

/** All that a reader could see of the state; equal for equal states. */
export const pictureOf = ({ store }: OneMember): unknown => ({
  digest: store.stateDigest(),
  audit: store.auditHead(),
  rows: registry.nouns.map(({ name }) => [...store.world.all(name)].toSorted((a, b) => (a.id < b.id ? -1 : 1))),
});
