/** What a maker of nodes says of each: the machine to ask the vendor for, and what the node gets once it stands. */
import type { NodeFile } from "@aether/core/config/node-file";
import { nodeLabels } from "@aether/cloud/labels";
import type { InstanceSpec, MachineSpec } from "@aether/cloud/provider";
import { value as reveal, type Redacted } from "effect/Redacted";
import { deriveCa, type ClusterCa } from "../identity/cluster-ca.ts";
import { certificateFingerprint, type Birth } from "./birth-file.ts";
import type { Gift, SecretFiles } from "./gift.ts";
import { parseBundleUrl } from "./start-script.ts";
import { deriveTicket } from "./ticket.ts";
import { userDataFor } from "./user-data.ts";

type Encoded = typeof NodeFile.Encoded;

export interface BirthsGiven {
  readonly cluster: { readonly id: string; readonly name: string };
  /** The cluster secret. */
  readonly secret: Redacted;
  /** The part of the cluster's CloudSettings that a birth needs. */
  readonly settings: { readonly nodePort: number; readonly bundleUrl: string | null };
  /** Which machine stands at such a place. */
  readonly machineOf: (place: Place) => MachineSpec;
  /** The daemon's own settings, as the node's file has them. */
  readonly daemon: Pick<Encoded, "raft" | "history" | "backup">;
  /** What the nodes get beside the cluster secret. */
  readonly files: Omit<SecretFiles, "clusterSecret">;
}

/** Where and how large. */
export interface Place {
  readonly zone: string;
  readonly size: string;
}

export interface Births {
  readonly birthOf: (who: { readonly node: string; readonly attempt: number }) => Birth;
  /** The same for the same node, attempt and place, from whichever process: so the provider finds it again. */
  readonly specOf: (who: { readonly node: string; readonly attempt: number } & Place) => InstanceSpec;
  /** `advertise`: "host:port" as the provider showed it; `seeds`: all nodes to begin with, or those that run. */
  readonly identityOf: (who: {
    readonly node: string;
    readonly member: number;
    readonly advertise: string;
    readonly seeds: Encoded["seeds"];
  }) => Gift;
}

/** A node's certificate is as good as its machine lasts. */
const memberDays = 3650;

/** Throws a RangeError on a bundle URL that is none. */
export async function makeBirths(g: BirthsGiven): Promise<Births> {
  const ca = await deriveCa(reveal(g.secret), g.cluster.name);
  const caFingerprint = certificateFingerprint(ca.certificate);
  const bundle = g.settings.bundleUrl === null ? null : parseBundleUrl(g.settings.bundleUrl);
  if (bundle === null && g.settings.bundleUrl !== null) throw new RangeError("bundle_url is not https://…#sha256=HEX");
  const birthOf: Births["birthOf"] = ({ node, attempt }) => ({
    cluster: g.cluster,
    node,
    attempt,
    port: g.settings.nodePort,
    caFingerprint,
    ticket: deriveTicket(g.secret, { clusterId: g.cluster.id, node, attempt }),
  });
  return {
    birthOf,
    specOf: ({ node, attempt, zone, size }) => ({
      key: { cluster: g.cluster.name, node, attempt },
      name: node,
      address: `*:${g.settings.nodePort}`,
      machine: g.machineOf({ zone, size }),
      labels: nodeLabels(g.cluster, node),
      userData: userDataFor(birthOf({ node, attempt }), bundle),
    }),
    identityOf: ({ node, member, advertise, seeds }) => ({
      configuration: {
        cluster: g.cluster,
        node: { name: node, member },
        listen: { host: "0.0.0.0", port: g.settings.nodePort },
        advertise,
        seeds,
        ...g.daemon,
      },
      ca: ca.certificate,
      certify: (publicKey) => certify(ca, g.cluster.id, node, advertise, publicKey),
      files: { ...g.files, clusterSecret: g.secret },
    }),
  };
}

function certify(ca: ClusterCa, clusterId: string, node: string, advertise: string, publicKey: string): Promise<string> {
  const host = advertise.replace(/:\d+$/, "").replaceAll(/[[\]]/g, "");
  const hosts = [...new Set(["127.0.0.1", "localhost", host])];
  return ca.certify({ clusterId, role: "member", name: node, hosts, days: memberDays }, publicKey);
}
