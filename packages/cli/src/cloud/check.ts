/** `aether cloud check --config FILE`: could this cluster be made there, by this person, now. Makes nothing. */
import { endpointsFrom } from "@aether/cloud/http/endpoints";
import { CloudFailure } from "@aether/cloud/failure";
import { imageOf, zonesOf } from "@aether/cloud/machine";
import type { CloudName, CloudSettings } from "@aether/core/config/cloud-settings";
import { missingSecrets, readClusterFile, type ClusterPlan } from "../bootstrap/cluster-plan.ts";
import { provider } from "../cluster/provider-call.ts";
import { clusterFolder } from "../context/home.ts";
import type { Run } from "../shell/command.ts";
import { exit, Failure, usage } from "../shell/failure.ts";
import type { Shell } from "../shell/shell.ts";
import { renderTable, type Column } from "../shell/table.ts";
import { planCloud } from "./cloud-plan.ts";
import { cloudProvider, cloudSeams } from "./cloud-provider.ts";

export interface Checked {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
  /** What a person can do; "" when all is well. */
  readonly hint: string;
}

export const run: Run = async (call, shell) => {
  const { result: plan } = await readClusterFile(call.text("config") ?? "", shell);
  if (plan.cloud === null)
    throw usage(`${plan.name} is to run on this computer, and needs no cloud`, "[cloud] provider says where");
  const checks = await checkCloud(plan, plan.cloud, shell);
  const isReady = checks.every(({ ok }) => ok);
  if (call.output === "json")
    shell.out(`${JSON.stringify({ name: plan.name, provider: plan.cloud.provider, ok: isReady, checks })}\n`);
  else shell.out(renderTable(columnsOf(shell), checks));
  return isReady ? exit.done : exit.failed;
};

const columnsOf = ({ paint }: Shell): readonly Column<Checked>[] => [
  { title: "CHECK", cell: ({ check }) => check },
  { title: "OK", cell: ({ ok }) => (ok ? paint("green", "yes") : paint("red", "NO")) },
  { title: "FOUND", cell: ({ detail }) => detail },
  { title: "HINT", cell: ({ hint }) => hint },
];

async function checkCloud(plan: ClusterPlan, settings: CloudSettings, shell: Shell): Promise<readonly Checked[]> {
  const [skew, account, bundle, secrets, data] = await Promise.all([
    checkClock(settings.provider, settings.region, shell),
    checkAccount(plan.name, settings, shell),
    checkBundle(settings, shell),
    checkSecrets(plan, shell),
    checkUserData(plan, settings, shell),
  ]);
  return [skew, ...account, ...bundle, secrets, data, checkLeader(settings)];
}

const fine = (check: string, detail: string): Checked => ({ check, ok: true, detail, hint: "" });
const wrong = (check: string, detail: string, hint: string): Checked => ({ check, ok: false, detail, hint });

async function checkAccount(name: string, settings: CloudSettings, shell: Shell): Promise<readonly Checked[]> {
  try {
    const checks = await provider(cloudProvider(name, settings, shell).preflight);
    return checks.map(({ check, ok, detail }) => ({ check, ok, detail, hint: ok ? "" : hintFor(check, settings) }));
  } catch (error) {
    if (error instanceof Failure)
      return [wrong("the account", error.message, `docs/providers/${settings.provider}.md has what is needed`)];
    throw error;
  }
}

function hintFor(check: string, settings: CloudSettings): string {
  if (/image/.test(check)) return `[cloud] image; now it is ${imageOf(settings)}`;
  if (/type|size/.test(check)) return "[cloud] instance_type, in the vendor's own words";
  if (/location|region|zone/.test(check)) return `[cloud] region and zones; now ${zonesOf(settings).join(", ")}`;
  return `docs/providers/${settings.provider}.md has the permissions`;
}

const vendors: Readonly<Record<CloudName, { readonly service: string; readonly base: (region: string) => string }>> = {
  hetzner: { service: "cloud", base: () => "https://api.hetzner.cloud/v1" },
  aws: { service: "ec2", base: (region) => `https://ec2.${region}.amazonaws.com` },
  gcp: { service: "compute", base: () => "https://compute.googleapis.com" },
  azure: { service: "management", base: () => "https://management.azure.com" },
};

/** More than this, and signatures and certificates begin to be refused. */
const skewMsMax = 60_000;
const askMs = 15_000;

/** Any answer has a Date; none needs credentials. */
async function checkClock(name: CloudName, region: string, shell: Shell): Promise<Checked> {
  const check = "the vendor answers, and the clocks agree";
  const { service, base } = vendors[name];
  try {
    const url = endpointsFrom(name, shell.env, () => base(region)).base(service);
    if (!url.pathname.endsWith("/")) url.pathname += "/";
    const { transport } = cloudSeams(shell);
    const before = Date.now();
    const outcome = await transport.send({ method: "GET", url, headers: {}, body: null }, AbortSignal.timeout(askMs));
    if (outcome.kind === "unanswered") return wrong(check, `${url.host}: ${outcome.message}`, "is there a way to it from here?");
    const date = outcome.kind === "answered" ? Date.parse(outcome.response.headers["date"] ?? "") : Number.NaN;
    if (Number.isNaN(date)) return fine(check, `${url.host} answers and tells no time`);
    // A Date has whole seconds.
    const skewMs = date + 500 - (before + Date.now()) / 2;
    const words = `${url.host} is ${Math.round(Math.abs(skewMs) / 1000)} s ${skewMs < 0 ? "behind" : "ahead"}`;
    return Math.abs(skewMs) > skewMsMax
      ? wrong(check, words, "set this computer's clock: signatures are refused")
      : fine(check, words);
  } catch (error) {
    if (error instanceof CloudFailure) return wrong(check, error.error.message, "mend that variable");
    if (error instanceof DOMException) return wrong(check, `no answer in ${askMs / 1000} s`, "is there a way to it from here?");
    throw error;
  }
}

/** Its first byte is asked for; what its digest is, machines find out. */
async function checkBundle({ bundleUrl, image }: CloudSettings, shell: Shell): Promise<readonly Checked[]> {
  const check = "the bundle";
  if (bundleUrl === null) {
    const hint = "[cloud] bundle_url or AETHER_BUNDLE_URL: `aether cloud bundle FILE` makes one";
    return [
      image === null ? wrong(check, "neither a bundle nor an image that has it", hint) : fine(check, `in the image ${image}`),
    ];
  }
  const url = new URL(bundleUrl);
  url.hash = "";
  try {
    const { transport } = cloudSeams(shell);
    const request = { method: "GET", url, headers: { range: "bytes=0-0" }, body: null } as const;
    const outcome = await transport.send(request, AbortSignal.timeout(askMs));
    if (outcome.kind === "unanswered") return [wrong(check, `${url.host}: ${outcome.message}`, "machines must reach it too")];
    const status = outcome.kind === "answered" ? outcome.response.status : 200;
    if (status < 400) return [fine(check, `${url.host} has it; its digest is looked at by the machines`)];
    return [wrong(check, `${url.host} answers ${status}`, "put it there, readable without a login")];
  } catch (error) {
    if (error instanceof DOMException) return [wrong(check, `no answer in ${askMs / 1000} s`, "machines must reach it too")];
    throw error;
  }
}

async function checkSecrets(plan: ClusterPlan, shell: Shell): Promise<Checked> {
  const check = "the secrets";
  try {
    const missing = await missingSecrets(plan, clusterFolder(shell.home, plan.name), shell);
    if (missing.length === 0) return fine(check, "all that the file names are there");
    return wrong(check, missing.map(({ message }) => message).join("; "), missing[0]?.expected ?? "");
  } catch (error) {
    if (error instanceof Failure) return wrong(check, error.message, error.hint);
    throw error;
  }
}

const userDataBytesMax: Readonly<Record<CloudName, number>> = { hetzner: 32_768, aws: 16_384, gcp: 262_144, azure: 65_535 };

async function checkUserData(plan: ClusterPlan, settings: CloudSettings, shell: Shell): Promise<Checked> {
  const check = "the user data fits";
  const { machines } = await planCloud(plan, settings, null, shell);
  const bytes = Math.max(...machines.map(({ userDataBytes }) => userDataBytes));
  const max = userDataBytesMax[settings.provider];
  const words = `${bytes} of ${max} bytes`;
  return bytes > max ? wrong(check, words, "a shorter bundle_url") : fine(check, words);
}

const identityKeys: Readonly<Record<CloudName, string>> = {
  hetzner: "",
  aws: "[aws] instance_profile",
  gcp: "[gcp] service_account",
  azure: "[azure] identity",
};

/** Scaling and healing are the leader's, who must be somebody to the vendor. */
function checkLeader(settings: CloudSettings): Checked {
  const check = "nodes can make nodes";
  if (settings.nodeCredentials === "forward")
    return fine(check, "with the credentials of whoever bootstraps, which lie on every node");
  const { aws, gcp, azure, provider: name } = settings;
  const identity = { hetzner: undefined, aws: aws.instance_profile, gcp: gcp.service_account, azure: azure.identity }[name];
  if (identity !== undefined) return fine(check, `as ${identity}`);
  return wrong(
    check,
    "they have no identity: neither scale nor heal will make machines",
    `${identityKeys[name]}, or node_credentials = "forward"`,
  );
}
