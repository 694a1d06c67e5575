/** A vendor on this computer: its fake behind HTTP, and a room of machines in which what it makes really runs. */
import type { HttpRequest } from "@aether/cloud/http/transport";
import { FakeMetadata } from "@aether/cloud/testing/aws/fake-metadata";
import { actionOf } from "@aether/cloud/testing/aws/front";
import { fakeDefaults as awsDefaults, FakeEc2 } from "@aether/cloud/testing/aws/fake";
import { fakeDefaults as hetznerDefaults, FakeHetzner } from "@aether/cloud/testing/hetzner/fake";
import { serveFake, type VendorFake } from "@aether/cloud/testing/http-fake";
import type { Machines } from "@aether/cloud/testing/machines";
import { openMachineRoom, type MachineRoom, type MachineRoomOptions } from "./machine-room.ts";

export const fakeVendors = ["hetzner", "aws"] as const;
export type FakeVendor = (typeof fakeVendors)[number];

export interface FakeCloud {
  /** For who uses it: endpoint, made-up credentials, and from where machines get their bundle. */
  readonly env: Readonly<Record<string, string>>;
  readonly room: MachineRoom;
  /** What did not fit the vendor's published model. */
  readonly violations: () => readonly string[];
  /** Ends every machine. */
  readonly close: () => Promise<void>;
}

export interface FakeCloudOptions extends Omit<MachineRoomOptions, "env"> {
  /** Called for each call, e.g. "POST /v1/servers" or "RunInstances", with the status of its answer. */
  readonly onCall?: (call: string, status: number) => void;
}

/** A vendor without its environment of machines. */
interface Vendor {
  readonly fake: VendorFake & { readonly violations: readonly string[] };
  readonly prefix: string;
  readonly nameOf: (request: HttpRequest) => string;
  /** `url`: where the fake is served; the machines' own environment, and what the operator has beside it. */
  readonly machineEnv: (url: string) => Readonly<Record<string, string>>;
  readonly operatorEnv: Readonly<Record<string, string>>;
  /** Where a machine asks who it is; served beside the fake. */
  readonly metadata: { readonly fake: VendorFake; readonly variable: string } | null;
}

/** Real time: a machine runs a third of a second after it was made, and lists lag a tenth. */
const pace = { now: Date.now, bootMs: 300, lagMs: 100, pageMax: 25 };

const vendors: Readonly<Record<FakeVendor, (machines: Machines) => Vendor>> = {
  hetzner: (machines) => ({
    fake: new FakeHetzner({ ...pace, machines, actionMs: 100, deleteMs: 200 }),
    prefix: "/v1",
    nameOf: ({ method, url }) => `${method} ${url.pathname}${url.search}`,
    machineEnv: (url) => ({ AETHER_HETZNER_ENDPOINT: url }),
    operatorEnv: { HCLOUD_TOKEN: hetznerDefaults.token },
    metadata: null,
  }),
  aws: (machines) => {
    const fake = new FakeEc2({ ...pace, machines, stopMs: 200, terminateMs: 200 });
    const { accessKeyId, secretAccessKey } = awsDefaults.keys;
    return {
      fake,
      prefix: "",
      nameOf: actionOf,
      machineEnv: (url) => ({ AETHER_AWS_ENDPOINT: url }),
      operatorEnv: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_REGION: awsDefaults.region },
      metadata: { fake: new FakeMetadata(fake.sts), variable: "AETHER_AWS_METADATA_ENDPOINT" },
    };
  },
};

export async function openFakeCloud(name: FakeVendor, o: FakeCloudOptions): Promise<FakeCloud> {
  let machineEnv: Readonly<Record<string, string>> = {};
  const room = await openMachineRoom({ ...o, env: () => machineEnv });
  const vendor = vendors[name](room);
  const heard: VendorFake = {
    refusal: vendor.fake.refusal,
    handle: (request) => {
      const response = vendor.fake.handle(request);
      o.onCall?.(vendor.nameOf(request), response.status);
      return response;
    },
  };
  const served = await serveFake(heard, vendor.prefix, () => undefined);
  const metadata = vendor.metadata === null ? null : await serveFake(vendor.metadata.fake, "", () => undefined);
  const identity = vendor.metadata === null || metadata === null ? {} : { [vendor.metadata.variable]: metadata.url };
  machineEnv = { ...vendor.machineEnv(served.url), ...identity };
  return {
    env: { ...vendor.machineEnv(served.url), ...vendor.operatorEnv, AETHER_BUNDLE_URL: room.bundleUrl },
    room,
    violations: () => [...new Set(vendor.fake.violations)],
    close: async () => {
      await room.close();
      await served.close();
      await metadata?.close();
    },
  };
}
