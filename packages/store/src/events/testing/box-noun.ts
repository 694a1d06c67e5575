/** A tiny noun for the store's own tests: boxes that hold a number. Not registered anywhere else. */
import { reject } from "@aether/core/kernel/command";
import type { Command, CommandType, Decide } from "@aether/core/kernel/command";
import type { DomainEvent } from "@aether/core/kernel/event";
import type { EventType, Noun } from "@aether/core/kernel/noun";
import { makeRegistry } from "@aether/core/kernel/registry";
import type { Registry } from "@aether/core/kernel/registry";

export interface Box {
  readonly content: number;
  readonly note: string;
}

const eventType = (type: string, v: number, level: number, upcast: EventType["upcast"]): EventType => ({
  type,
  v,
  level,
  upcast,
  parse: (input) => input as DomainEvent,
});

/** Version 1 of BoxFilled called the content `n` and had no note. */
const fromV1 = ({ n, ...event }: DomainEvent): DomainEvent => ({ ...event, v: 2, content: n, note: "" });

export const filled = (id: string, content: number, note = ""): DomainEvent => ({ type: "BoxFilled", v: 2, id, content, note });

const command = (type: string, roles: CommandType["roles"], decide: Decide<Command>): CommandType => ({
  type,
  roles,
  parse: (input) => input as Command,
  decide,
});

const commands: readonly CommandType[] = [
  command("FillBox", ["operator", "agent"], (world, c) => {
    const before = world.get<Box>("box", c.id)?.row;
    if (before?.content === c["content"] && before?.note === (c["note"] ?? "")) return { events: [] };
    return { events: [filled(c.id, c["content"] as number, (c["note"] ?? "") as string)] };
  }),
  command("AddToBox", ["operator", "agent"], (world, c) => {
    const before = world.get<Box>("box", c.id)?.row;
    if (before === undefined) return reject("not_found", `there is no box ${c.id}`, "fill it first");
    const content = before.content + (c["amount"] as number);
    return { events: [filled(c.id, content, before.note)], answer: { content } };
  }),
  command("MoveAll", ["operator"], (world, c) => {
    const from = world.get<Box>("box", c.id)?.row;
    if (from === undefined) return reject("not_found", `there is no box ${c.id}`, "fill it first");
    const into = world.get<Box>("box", c["to"] as string)?.row;
    const moved = filled(c["to"] as string, (into?.content ?? 0) + from.content);
    return { events: [{ type: "BoxRemoved", v: 1, id: c.id }, moved] };
  }),
  command("CountBoxes", ["operator"], (world, c, context) => ({
    events: [filled(c.id, world.count("box"), `${[...world.all<Box>("box")].length} ${context.bits}`)],
  })),
  command("SealBox", ["operator"], (_world, c) => ({ events: [{ type: "BoxSealed", v: 1, id: c.id }] })),
  command("CheckBoxes", ["member"], (_world, c) => ({ events: [{ type: "BoxesChecked", v: 1, id: c.id }] })),
];

export const boxNoun: Noun<Box> = {
  name: "box",
  events: [
    eventType("BoxFilled", 2, 1, { 1: fromV1 }),
    eventType("BoxRemoved", 1, 1, {}),
    eventType("BoxSealed", 1, 2, {}),
    eventType("BoxesChecked", 1, 1, {}),
  ],
  commands,
  evolve: (row, event) => {
    switch (event.type) {
      case "BoxFilled":
        return { content: event["content"] as number, note: event["note"] as string };
      case "BoxRemoved":
        return undefined;
      case "BoxSealed":
        return { content: row?.content ?? 0, note: "sealed" };
      case "BoxesChecked":
        return { content: row?.content ?? 0, note: "checked" };
      default:
        throw new Error(`box has no event ${event.type}`);
    }
  },
};

export const boxRegistry: Registry = makeRegistry([boxNoun as Noun]);
