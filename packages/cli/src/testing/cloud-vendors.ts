/** Fakes of the vendors for process tests: what they answer over HTTP, what an operator has, what a machine has of its own. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fakeDefaults as awsDefaults, FakeEc2 } from "@aether/cloud/testing/aws/fake";
import { FakeMetadata } from "@aether/cloud/testing/aws/fake-metadata";
import { FakeAzure, operator as azureOperator, place as azurePlace } from "@aether/cloud/testing/azure/fake";
import { FakeGcp, region as gcpRegion } from "@aether/cloud/testing/gcp/fake";
import { credentialFiles, project } from "@aether/cloud/testing/gcp/tokens";
import { fakeDefaults as hetznerDefaults, FakeHetzner } from "@aether/cloud/testing/hetzner/fake";
import type { VendorFake } from "@aether/cloud/testing/http-fake";
import type { Machines } from "@aether/cloud/testing/machines";

export interface Vendor {
  readonly fake: VendorFake;
  /** Below which path its API is. */
  readonly prefix: string;
  /** The address that never leaves a machine, where it asks who it is; none where machines have no identity. */
  readonly metadata?: VendorFake;
  /** What whoever runs commands has: endpoint and credentials. `folder`: for files of credentials. */
  readonly operatorEnv: (url: string, folder: string) => Readonly<Record<string, string>>;
  /** What every machine has. */
  readonly machineEnv: (metadataUrl: string) => Readonly<Record<string, string>>;
  /** `[cloud]` and the vendor's section. */
  readonly toml: string;
  /** The vendor's names of all machines that cost money. */
  readonly living: () => readonly string[];
  /** The plug is pulled. */
  readonly crash: (id: string) => void;
  /** Somebody deletes it at the vendor's, behind everybody's back. */
  readonly vanish?: (id: string) => void;
  /** How many machines are behind the load balancer; where the file names one. */
  readonly targets?: () => number;
  /** What did not fit the vendor's published model. */
  readonly violations: () => readonly string[];
}

/** From a vendor's yes to a running machine, and how long lists lag: real time. */
const quick = { now: Date.now, bootMs: 60, lagMs: 20, pageMax: 25 };
const heals = 'heal_after = "10s"\n';

export function hetzner(machines: Machines) {
  const fake = new FakeHetzner({ ...quick, machines, actionMs: 20, deleteMs: 40 });
  const balancer = fake.addBalancer("aether-api");
  return {
    fake,
    prefix: "/v1",
    operatorEnv: (url) => ({ HCLOUD_TOKEN: hetznerDefaults.token, AETHER_HETZNER_ENDPOINT: url }),
    machineEnv: () => ({}),
    toml: `[cloud]\nprovider = "hetzner"\nregion = "fsn1"\ninstance_type = "cx22"\nzones = ["fsn1", "nbg1"]\n${heals}load_balancer = "aether-api"\n`,
    targets: () => balancer.targets.length,
    living: () => [...fake.servers.keys()].map(String),
    crash: (id) => fake.crash(Number(id)),
    vanish: (id) => {
      fake.servers.delete(Number(id));
      balancer.targets = balancer.targets.filter(({ server }) => server.id !== Number(id));
      machines.destroy(id);
    },
    violations: () => fake.violations,
  } satisfies Vendor & { readonly fake: FakeHetzner };
}

export function aws(machines: Machines) {
  const fake = new FakeEc2({ ...quick, machines, stopMs: 30, terminateMs: 30 });
  const { accessKeyId, secretAccessKey } = awsDefaults.keys;
  const zones = ["a", "b"].map((letter) => JSON.stringify(awsDefaults.region + letter)).join(", ");
  return {
    fake,
    prefix: "",
    metadata: new FakeMetadata(fake.sts),
    operatorEnv: (url) => ({
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AETHER_AWS_ENDPOINT: url,
    }),
    machineEnv: (url) => ({ AETHER_AWS_METADATA_ENDPOINT: url }),
    toml:
      `[cloud]\nprovider = "aws"\nregion = "${awsDefaults.region}"\ninstance_type = "t4g.small"\nzones = [${zones}]\n${heals}` +
      '\n[aws]\ninstance_profile = "aether-node"\n',
    living: () => [...fake.instances.values()].filter(({ state }) => state !== "terminated").map(({ id }) => id),
    crash: (id) => fake.crash(id),
    violations: () => fake.violations,
  } satisfies Vendor & { readonly fake: FakeEc2 };
}

export function gcp(machines: Machines) {
  const fake = new FakeGcp({ ...quick, machines, operationMs: 20, deleteMs: 30, stopMs: 30 });
  return {
    fake,
    prefix: "",
    metadata: fake,
    operatorEnv: (url, folder) => {
      const file = join(folder, "credentials.json");
      mkdirSync(folder, { recursive: true });
      writeFileSync(file, credentialFiles.authorized_user());
      return { GOOGLE_APPLICATION_CREDENTIALS: file, GOOGLE_CLOUD_PROJECT: project, AETHER_GCP_ENDPOINT: url };
    },
    machineEnv: (url) => ({ AETHER_GCP_METADATA_ENDPOINT: url }),
    toml:
      `[cloud]\nprovider = "gcp"\nregion = "${gcpRegion}"\ninstance_type = "e2-medium"\n${heals}` +
      `\n[gcp]\nservice_account = "aether@${project}.iam.gserviceaccount.com"\n`,
    living: () => [...fake.machines.all.keys()],
    crash: (id) => {
      const [zone = "", name = ""] = id.split("/");
      fake.machines.crash(zone, name);
    },
    violations: () => fake.violations,
  } satisfies Vendor;
}

export function azure(machines: Machines) {
  const fake = new FakeAzure({ ...quick, machines, powerMs: 30, deleteMs: 30, machineClient: azureOperator.client });
  const { tenant, subscription, resourceGroup, region } = azurePlace;
  const { client, secret = "" } = azureOperator;
  return {
    fake,
    prefix: "",
    metadata: fake,
    operatorEnv: (url) => ({
      AZURE_TENANT_ID: tenant,
      AZURE_CLIENT_ID: client,
      AZURE_CLIENT_SECRET: secret,
      AZURE_SUBSCRIPTION_ID: subscription,
      AZURE_RESOURCE_GROUP: resourceGroup,
      AETHER_AZURE_ENDPOINT: url,
    }),
    machineEnv: (url) => ({ AETHER_AZURE_METADATA_ENDPOINT: url }),
    toml:
      `[cloud]\nprovider = "azure"\nregion = "${region}"\ninstance_type = "Standard_B2s"\nzones = ["1", "2"]\n${heals}` +
      '\n[azure]\nsubnet = "nodes"\nidentity = "aether-node"\n',
    living: () => [...fake.compute.machines.values()].map(({ name, vmId }) => `${name}.${vmId}`),
    crash: (id) => fake.compute.crash(id.split(".")[0] ?? ""),
    violations: () => fake.violations,
  } satisfies Vendor;
}
