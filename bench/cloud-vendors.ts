/** The clouds' fakes at the vendors' own page sizes, in real time, and providers that reach them over HTTP. */
import { createServer, request } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { make as redact } from "effect/Redacted";
import { makeAwsProvider } from "@aether/cloud/aws";
import { makeAzureProvider } from "@aether/cloud/azure";
import { makeGcpProvider } from "@aether/cloud/gcp";
import { makeHetznerProvider } from "@aether/cloud/hetzner";
import { processSeams, type CloudSeams } from "@aether/cloud/provider-of";
import type { CloudProvider, InstanceSpec } from "@aether/cloud/provider";
import { fakeDefaults as awsDefaults, FakeEc2 } from "@aether/cloud/testing/aws/fake";
import { awsSpec } from "@aether/cloud/testing/aws/world";
import { FakeAzure, operator, place } from "@aether/cloud/testing/azure/fake";
import { azureSpec, secretOf } from "@aether/cloud/testing/azure/world";
import { FakeGcp, region as gcpRegion } from "@aether/cloud/testing/gcp/fake";
import { credentialFiles, project } from "@aether/cloud/testing/gcp/tokens";
import { gcpSpec, zones } from "@aether/cloud/testing/gcp/world";
import { FakeHetzner } from "@aether/cloud/testing/hetzner/fake";
import { hetznerSpec } from "@aether/cloud/testing/hetzner/world";
import { serveFake, type VendorFake } from "@aether/cloud/testing/http-fake";

export const vendorNames = ["hetzner", "aws", "gcp", "azure"] as const;
export type VendorName = (typeof vendorNames)[number];

interface Vendor {
  /** The vendor's own maximum. */
  readonly pageSize: number;
  readonly prefix: string;
  readonly fake: (pace: Pace) => VendorFake & { readonly violations: readonly string[] };
  readonly provider: (url: string, seams: CloudSeams) => CloudProvider;
  readonly spec: (name: string) => InstanceSpec;
}

/** How long things take at the fake, milliseconds. */
export interface Pace {
  readonly bootMs: number;
  readonly operationMs: number;
  readonly lagMs: number;
}

const [cluster, machinesMax, plenty] = ["conform", 5_000, 1e9];
export const hetznerToken = "hetzner-bench-token-0123456789abcdef0123456789abcdef0123456789ab";
const home = "/home/bench";
const gcpFile = `${home}/.config/gcloud/application_default_credentials.json`;
const fromFile = (path: string): Promise<string | null> =>
  Promise.resolve(path === gcpFile ? credentialFiles.authorized_user() : null);
const machineOf = (spec: InstanceSpec) => {
  if (spec.machine === undefined) throw new Error("a cloud's spec has a machine");
  return spec.machine;
};

export const vendors: Readonly<Record<VendorName, Vendor>> = {
  hetzner: {
    pageSize: 50,
    prefix: "/v1",
    fake: ({ bootMs, operationMs, lagMs }) => {
      const room = { fsn1: machinesMax };
      const pace = { bootMs, actionMs: operationMs, deleteMs: operationMs, lagMs, pageMax: 50 };
      return new FakeHetzner({
        now: Date.now,
        token: hetznerToken,
        serversMax: machinesMax,
        room,
        callsPerHour: plenty,
        ...pace,
      });
    },
    provider: (url, seams) => {
      const options = { cluster, region: "fsn1", machine: machineOf(hetznerSpec("n1")), token: redact(hetznerToken) };
      return makeHetznerProvider({ ...options, env: { AETHER_HETZNER_ENDPOINT: url } }, seams);
    },
    spec: hetznerSpec,
  },
  aws: {
    pageSize: 250,
    prefix: "",
    fake: ({ bootMs, operationMs, lagMs }) => {
      const pace = { bootMs, stopMs: operationMs, terminateMs: operationMs, lagMs, pageMax: 1_000 };
      return new FakeEc2({ now: Date.now, instancesMax: machinesMax, room: machinesMax, ...pace });
    },
    provider: (url, seams) => {
      const { accessKeyId, secretAccessKey } = awsDefaults.keys;
      const credentials = { accessKeyId, secretAccessKey: redact(secretAccessKey), sessionToken: null };
      const options = { cluster, region: awsDefaults.region, machine: machineOf(awsSpec("n1")), credentials };
      return makeAwsProvider({ ...options, env: { AETHER_AWS_ENDPOINT: url } }, seams);
    },
    spec: awsSpec,
  },
  gcp: {
    pageSize: 500,
    prefix: "",
    fake: ({ bootMs, operationMs, lagMs }) => {
      const room = Object.fromEntries(zones.map((zone) => [zone, machinesMax]));
      const pace = { bootMs, operationMs, deleteMs: operationMs, stopMs: operationMs, lagMs, pageMax: 500 };
      return new FakeGcp({ now: Date.now, vmsMax: machinesMax, room, ...pace });
    },
    provider: (url, seams) => {
      const options = { cluster, region: gcpRegion, zones, project, machine: machineOf(gcpSpec("n1")) };
      const env = { HOME: home, AETHER_GCP_ENDPOINT: url };
      return makeGcpProvider({ ...options, env }, { ...seams, readFile: fromFile });
    },
    spec: gcpSpec,
  },
  azure: {
    // Not documented; lists of its Compute came in pages of this size when last seen (unchecked here).
    pageSize: 100,
    prefix: "",
    fake: ({ bootMs, operationMs, lagMs }) => {
      const pace = { bootMs, powerMs: operationMs, deleteMs: operationMs, lagMs, pageMax: 100 };
      return new FakeAzure({ now: Date.now, machinesMax, room: { "": machinesMax }, ...pace });
    },
    provider: (url, seams) => {
      const { subscription, resourceGroup, region } = place;
      const who = { credentials: secretOf(operator), adminUser: "aether", vault: null };
      const options = { cluster, region, subscription, resourceGroup, machine: machineOf(azureSpec("n1")), ...who };
      const readText = (): Promise<string> => Promise.reject(new Error("no file is needed"));
      return makeAzureProvider({ ...options, env: { AETHER_AZURE_ENDPOINT: url } }, { ...seams, readText });
    },
    spec: azureSpec,
  },
};

export interface OpenVendor {
  readonly url: string;
  readonly fake: VendorFake;
  /** Calls that came since it was opened. */
  readonly calls: () => number;
  readonly close: () => Promise<void>;
}

/** A new fake of that vendor behind HTTP on loopback, which answers `delayMs` after a call has come. */
export async function openVendor(name: VendorName, pace: Pace, delayMs: number): Promise<OpenVendor> {
  const { fake: make, prefix } = vendors[name];
  const fake = make(pace);
  const served = await serveFake(fake, prefix, () => undefined);
  const { port } = new URL(served.url);
  let calls = 0;
  // A server of its own, for the fake answers at once. It passes the name of the host on, because signatures are over it.
  const front = createServer((incoming, outgoing) => {
    calls += 1;
    const { method, url: path, headers } = incoming;
    setTimeout(() => {
      const onward = request({ host: "127.0.0.1", port, method, path, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      onward.on("error", () => outgoing.destroy());
      incoming.pipe(onward);
    }, delayMs);
  });
  front.listen(0, "127.0.0.1");
  await once(front, "listening");
  return {
    url: `http://127.0.0.1:${(front.address() as AddressInfo).port}${prefix}`,
    fake,
    calls: () => calls,
    close: async () => {
      front.closeAllConnections();
      front.close();
      await once(front, "close");
      await served.close();
      const found = [...new Set(fake.violations)];
      if (found.length > 0) console.error(`${name}: against the published model: ${found.join("; ")}`);
    },
  };
}

/** A provider as a process of its own has it. */
export function openProvider(
  name: VendorName,
  url: string,
): { readonly provider: CloudProvider; readonly close: () => Promise<void> } {
  const { close, ...seams } = processSeams();
  return { provider: vendors[name].provider(url, seams), close };
}
