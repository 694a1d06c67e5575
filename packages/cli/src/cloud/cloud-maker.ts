/** Steps 5 to 7 and 11 of a bootstrap whose nodes are machines in a cloud. */
import { make as redact } from "effect/Redacted";
import { readIfThere } from "@aether/cloud/local/durable-file";
import { forwardedEnv } from "@aether/cloud/forwarded-env";
import { machineOf } from "@aether/cloud/machine";
import type { InstanceId } from "@aether/cloud/provider";
import type { CloudSettings } from "@aether/core/config/cloud-settings";
import { makeBirths, type Births } from "@aether/node/enrolment/birth";
import type { Identity } from "../bootstrap/identity.ts";
import type { Maker } from "../bootstrap/maker.ts";
import { submit } from "../bootstrap/form.ts";
import type { Bootstrap, Did } from "../bootstrap/steps.ts";
import { attempt, failureOf, provider } from "../cluster/provider-call.ts";
import type { Api } from "../context/api.ts";
import { counted } from "../shell/counted.ts";
import { exit, Failure } from "../shell/failure.ts";
import { startMachines } from "./cloud-start.ts";
import { placeAfter, placesFor } from "./places.ts";
import { nodeAt, writeMachine } from "./journal-machine.ts";
import { sideBySide } from "./side-by-side.ts";

export function makeCloudMaker(settings: CloudSettings): Maker {
  /** What this run has made, for --rollback. */
  const made: { readonly node: string; readonly id: InstanceId }[] = [];
  return {
    chooseNodes: async ({ plan }) =>
      Array.from({ length: plan.size }, (_, at) => ({
        name: `n${at + 1}`,
        member: at + 1,
        address: "",
        seeds: [],
        machine: { attempt: 1, ...firstPlace(settings, at), instance: null, dial: null },
      })),
    provision: async (b, identity) => provision(b, settings, identity, made),
    start: async (b, identity) => startMachines(b, identity, await birthsOf(b, settings, identity)),
    adopt: (b, identity, api) => adopt(b, identity, api),
    rollBack: async (b) => {
      await sideBySide(made, ({ id }) => provider(b.provider.compute.delete(id)));
      const names = made.map(({ node }) => node).join(", ");
      b.shell.err(
        `rolled back: ${made.length === 0 ? "this run had made no machine" : `the machines of ${names} are deleted`}\n`,
      );
      if (!b.steps.journal.formed) await forgetMachines(b, new Set(made.map(({ node }) => node)));
    },
  };
}

function firstPlace(settings: CloudSettings, at: number) {
  const [place] = placesFor(settings, at);
  if (place === undefined) throw new Error("there is always a place");
  return place;
}

/** The next run makes them as new attempts: a vendor may give back the instance of a used one. */
const forgetMachines = (b: Bootstrap, names: ReadonlySet<string>): Promise<void> =>
  b.steps.write(({ identity }) => ({
    identity: identity && {
      ...identity,
      nodes: identity.nodes.map((node) => {
        if (node.machine === undefined || !names.has(node.name)) return node;
        return {
          ...node,
          address: "",
          machine: { ...node.machine, attempt: node.machine.attempt + 1, instance: null, dial: null },
        };
      }),
    },
  }));

/** What each machine is asked for, and what it is given: the same in every run. */
async function birthsOf(b: Bootstrap, settings: CloudSettings, { clusterId }: Pick<Identity, "clusterId">): Promise<Births> {
  const { raft, history, backup } = b.plan.settings;
  const token = backup?.remoteToken === true ? await readIfThere(b.folder.backupToken) : null;
  const env = forwardedEnv(settings, b.shell.env);
  return makeBirths({
    cluster: { id: clusterId, name: b.plan.name },
    secret: b.secret,
    settings,
    machineOf: (place) => machineOf(settings, place),
    daemon: { raft, history, ...(backup === undefined ? {} : { backup: { ...backup, remoteToken: null } }) },
    files: { backupToken: token === null ? null : redact(token.trim()), providerEnv: env === null ? null : redact(env) },
  });
}

async function provision(
  b: Bootstrap,
  settings: CloudSettings,
  identity: Identity,
  made: { readonly node: string; readonly id: InstanceId }[],
): Promise<Did<null>> {
  // From then on a machine that is missing had a disk that is gone: only the leader may make another, as a new member.
  if (b.steps.journal.formed) return { result: null, detail: "already there" };
  const births = await birthsOf(b, settings, identity);
  const done = new Map<string, string>();
  const say = (node: string, what: string): void => {
    done.set(node, what);
    b.steps.say([...done].map(([name, words]) => `${name} ${words}`).join(", "));
  };
  const ends = await sideBySide([...identity.nodes.keys()], (at) => ensureMachine(b, settings, births, at, say, made));
  const created = ends.filter(Boolean).length;
  const there = ends.length - created;
  const parts = [created === 0 ? "" : `${created} made`, there === 0 ? "" : `${there} already there`];
  return { result: null, detail: `${parts.filter((part) => part !== "").join(", ")}${spreadText(b)}` };
}

function spreadText(b: Bootstrap): string {
  const zones = (b.steps.journal.identity?.nodes ?? []).map((node) => node.machine?.zone ?? "");
  const counts = [...new Set(zones)].map((zone) => `${zones.filter((one) => one === zone).length} in ${zone}`);
  return `: ${counts.join(", ")}`;
}

/** More than there are places only when attempts turn out to be used up. */
const triesMax = 160;

/** Says whether it was made now. Each attempt stands in the journal before the vendor hears of it. */
async function ensureMachine(
  b: Bootstrap,
  settings: CloudSettings,
  births: Births,
  at: number,
  say: (node: string, what: string) => void,
  made: { readonly node: string; readonly id: InstanceId }[],
): Promise<boolean> {
  const refusals: string[] = [];
  for (let tries = 0; tries < triesMax; tries += 1) {
    const { name: node, machine } = nodeAt(b, at);
    const { zone, size } = machine;
    say(node, `${size} in ${zone}`);
    const asked = await attempt(b.provider.compute.ensure(births.specOf({ node, attempt: machine.attempt, zone, size })));
    if ("done" in asked) {
      const { instance, created } = asked.done;
      if (created) made.push({ node, id: instance.id });
      await writeMachine(b, at, { instance: instance.id });
      say(node, created ? "made" : "there");
      return created;
    }
    const { error } = asked;
    if (error._tag === "Conflict" && error.kind === "stale") {
      await writeMachine(b, at, { attempt: machine.attempt + 1 });
      continue;
    }
    // A limit may be of this zone or family of sizes alone.
    if (error._tag !== "Capacity" && error._tag !== "Quota") throw failureOf(error);
    refusals.push(
      `${size} in ${zone}: ${error.code ?? error.message}${error.requestId === undefined ? "" : ` (${error.requestId})`}`,
    );
    const next = placeAfter(settings, at, { zone, size });
    // The next run begins where this one began: by then there may be room.
    await writeMachine(b, at, { attempt: machine.attempt + 1, ...(next ?? firstPlace(settings, at)) });
    if (next === null) throw error._tag === "Quota" && refusals.length === 1 ? failureOf(error) : noRoom(node, refusals);
  }
  throw new Failure(exit.failed, `${nodeAt(b, at).name}: ${triesMax} attempts came to nothing`, "look at the vendor's console");
}

const noRoom = (node: string, refusals: readonly string[]): Failure =>
  new Failure(
    exit.failed,
    `there is room for ${node} nowhere: ${refusals.join("; ")}`,
    "name more [cloud] zones or other_instance_types for another cluster, or run this again later: it begins at the first place",
  );

/** In the log the machines are the leader's; under a request id that makes a repeated run's command the same command. */
async function adopt(b: Bootstrap, identity: Identity, api: Api): Promise<void> {
  b.steps.say(`giving ${counted(identity.nodes.length, "machine")} to the leader`);
  for (const node of identity.nodes) {
    const { attempt: tried, zone, size, instance } = node.machine ?? {};
    if (instance === null || instance === undefined) throw new Error(`${node.name} is a member and has no machine`);
    const command = { type: "AdoptInstance", id: node.name, attempt: tried, zone, size, instance, address: node.address };
    await submit(b, api, command, `bootstrap/${identity.clusterId}/adopt/${node.name}`);
  }
}
