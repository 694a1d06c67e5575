/** Puts the leader's hand together from the cluster's settings in the log and from what its enrolment left on this member's disk. */
import { readFile } from "node:fs/promises";
import { specDigest } from "@aether/cloud/derivation";
import { CloudFailure } from "@aether/cloud/failure";
import { machineOf, sizesOf, zonesOf } from "@aether/cloud/machine";
import type { CloudProvider } from "@aether/cloud/provider";
import { paceOf, processSeams, providerOf } from "@aether/cloud/provider-of";
import { cloudSettingsOf, type CloudSettings } from "@aether/core/config/cloud-settings";
import { fleetOf } from "@aether/core/fleet/state";
import type { Command } from "@aether/core/kernel/command";
import type { NodeRow } from "@aether/core/node/state";
import type { Answer } from "@aether/store/types";
import { make as redact, value as reveal, type Redacted } from "effect/Redacted";
import { makeBirths, type Births } from "../enrolment/birth.ts";
import { enrol } from "../enrolment/enrol.ts";
import { deriveCa } from "../identity/cluster-ca.ts";
import { edgeIssuer } from "../identity/edge-issuer.ts";
import { makeBalancer } from "./balancer.ts";
import { makeCall, placesBeside } from "./calls.ts";
import { FleetHand } from "./hand.ts";
import type { FleetParts } from "./service.ts";
import { makeSurvey } from "./survey.ts";

export interface CloudHand {
  readonly hand: FleetHand;
  /** Ends idle connections. */
  readonly close: () => Promise<void>;
}

export interface CloudHandParts extends FleetParts {
  /** The configuration in the cluster's row. */
  readonly settings: unknown;
  readonly submit: (command: Command) => Promise<Answer>;
  readonly caughtUp: () => Promise<boolean>;
}

/** Or why this member cannot make machines, in words that tell no secret. */
export async function makeCloudHand(p: CloudHandParts): Promise<CloudHand | { readonly why: string }> {
  const settings = cloudSettingsOf(p.settings);
  if (settings === null) return { why: "the cluster's configuration in the log does not say which machines it is to have" };
  const secrets = await readSecrets(p.configuration.fleet);
  if ("why" in secrets) return secrets;
  const { cluster } = p.configuration;
  const env = { ...process.env, ...(secrets.providerEnv === null ? {} : reveal(secrets.providerEnv)) };
  const seams = processSeams(env);
  try {
    const issuer = edgeIssuer(() => deriveCa(reveal(secrets.clusterSecret), cluster.name));
    const provider = providerOf({ settings, cluster: cluster.name, env, seams, issuer });
    const births = await birthsOf(p, settings, secrets);
    for (const { area, tag } of fleetOf(p.store.world).troubles)
      if (tag === "Credentials") await p.submit({ type: "MendTrouble", id: cluster.name, area });
    return { hand: handOf(p, settings, provider, births, paceOf(env)), close: seams.close };
  } catch (error) {
    await seams.close();
    if (error instanceof CloudFailure || error instanceof RangeError) return { why: error.message };
    throw error;
  }
}

interface Secrets {
  readonly clusterSecret: Redacted;
  readonly providerEnv: Redacted<Readonly<Record<string, string>>> | null;
}

async function readSecrets(files: FleetParts["configuration"]["fleet"]): Promise<Secrets | { readonly why: string }> {
  if (files === null)
    return { why: "this member's configuration has no part [fleet]: it was not enrolled by the maker of a cloud's nodes" };
  const textOf = (reference: string): Promise<string> => readFile(reference.slice("file:".length), "utf8");
  try {
    const secret = (await textOf(files.clusterSecret)).replace(/\r?\n$/, "");
    const env = files.providerEnv === null ? null : (JSON.parse(await textOf(files.providerEnv)) as Record<string, string>);
    return { clusterSecret: redact(secret), providerEnv: env === null ? null : redact(env) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // what a parser says of a file of secrets would repeat them
    return { why: `the files that this member's enrolment wrote cannot be read: ${code ?? "they are no JSON"}` };
  }
}

const birthsOf = (p: CloudHandParts, settings: CloudSettings, { clusterSecret, providerEnv }: Secrets): Promise<Births> => {
  const { cluster, raft, history, backup } = p.configuration;
  return makeBirths({
    cluster,
    secret: clusterSecret,
    settings,
    machineOf: (place) => machineOf(settings, place),
    daemon: { raft, history, backup: { ...backup, remoteToken: null } },
    files: { backupToken: p.remoteToken, providerEnv },
  });
};

function handOf(p: CloudHandParts, settings: CloudSettings, provider: CloudProvider, births: Births, pace: number): FleetHand {
  const { store, dialAt, log, submit, caughtUp } = p;
  const { cluster } = p.configuration;
  const seeds = (node: string) =>
    [...store.world.all<NodeRow>("node")].flatMap(({ row: { name, member, address, left } }) =>
      name === node || left || address === null ? [] : [{ name, member, address }],
    );
  const places = { zones: zonesOf(settings), sizes: sizesOf(settings) };
  const parts = { compute: provider.compute, births, enrol, seeds, dialAt, hasOtherPlace: placesBeside(store.world, places) };
  const balancer =
    settings.loadBalancer === null
      ? []
      : [
          makeBalancer({
            cluster: cluster.name,
            provider: settings.provider,
            balancer: settings.loadBalancer,
            loadBalancers: provider.loadBalancers,
            world: store.world,
            submit,
            now: Date.now,
          }),
        ];
  return new FleetHand({
    cluster,
    store,
    settings: { ...places, healAfterMs: settings.healAfterMs, pace },
    specOf: births.specOf,
    digestOf: specDigest,
    call: (call, signal) => makeCall(parts, call, signal),
    chores: [makeSurvey({ cluster, world: store.world, compute: provider.compute, now: Date.now }), ...balancer],
    submit,
    caughtUp,
    log,
    now: Date.now,
  });
}
