/** Could instances be made with these credentials, of this size, from this image: by a dry run that the vendor offers. */
import { CloudFailure } from "../failure.ts";
import type { Clock } from "../http/clock.ts";
import type { MachineSpec, PreflightCheck } from "../provider.ts";
import type { Ec2, RunInstance } from "./ec2.ts";
import { failedAs } from "./failure.ts";
import type { Images } from "./images.ts";
import type { Caller, Sts } from "./sts.ts";

/** What is known of the machines beforehand; the rest is taken for absent. */
export type WantedMachine = Pick<MachineSpec, "size" | "image"> & Partial<MachineSpec>;

export interface PreflightParts {
  readonly ec2: Ec2;
  readonly images: Images;
  readonly sts: Sts;
  readonly clock: Clock;
  /** The one that it must be; null for any. */
  readonly account: string | null;
}

/** What DryRun answers when the call would be permitted (HTTP 412). */
const permittedCode = "DryRunOperation";
/** The vendor refuses signatures that are five minutes off; certificates and leases want less. */
const skewMaxMs = 60_000;

export async function preflight(
  parts: PreflightParts,
  region: string,
  machine: WantedMachine,
  signal: AbortSignal,
): Promise<readonly PreflightCheck[]> {
  const { ec2, images, sts, clock } = parts;
  const { size, image, zone } = machine;
  const caller = await sts.caller(signal).catch(authAsText);
  const accepted = "the credentials are accepted";
  if (typeof caller === "string") return [{ check: accepted, ok: false, detail: caller }];
  const skew = skewOf(caller, clock.now());
  const whose =
    parts.account === null ? [] : [{ check: "the account", ok: caller.account === parts.account, detail: caller.account }];
  const known = [{ check: accepted, ok: true, detail: `${caller.arn} of account ${caller.account}` }, ...whose, skew];
  const zones = await ec2.offerings(size, signal).catch(authAsText);
  if (typeof zones === "string") return [...known, { check: "the credentials may read", ok: false, detail: zones }];
  const ami = await images.resolve(image, size, signal).catch(refusalAsNull);
  const count = ami === null ? 0 : await ec2.images(ami, signal).catch(refusalAsNull);
  const create = await ec2.dryRun(dryWish(machine, ami ?? image), signal).then(() => "the dry run was carried out", outcomeOf);
  const isOffered = zone === undefined ? zones.length > 0 : zones.includes(zone);
  return [
    ...known,
    { check: "the credentials may create", ok: create === permittedCode, detail: create },
    {
      check: "the instance type",
      ok: isOffered,
      detail: isOffered ? `${size} in ${zones.join(", ")}` : `${size} is not offered in ${zone ?? region}`,
    },
    {
      check: "the image",
      ok: count === 1,
      detail: count === 1 ? `${ami}` : `there is no image ${image} for ${size} in ${region}`,
    },
    await networkCheck(ec2, machine, signal),
    { check: "the quota", ok: true, detail: "EC2 does not tell it beforehand; a refusal (VcpuLimitExceeded) names it" },
  ];
}

function skewOf({ theirTime }: Caller, now: number): PreflightCheck {
  const check = "the clocks agree";
  if (theirTime === null) return { check, ok: true, detail: "the vendor did not tell the time" };
  const seconds = Math.round((now - theirTime) / 1000);
  const detail = `ours is ${Math.abs(seconds)} s ${seconds < 0 ? "behind" : "ahead"}`;
  return { check, ok: Math.abs(now - theirTime) <= skewMaxMs, detail };
}

/** A subnet that there is, in the zone that is wanted, with room; or a network for machines that name none. */
async function networkCheck(ec2: Ec2, { networks = [], zone }: WantedMachine, signal: AbortSignal): Promise<PreflightCheck> {
  const check = "the network";
  if (networks.length === 0) {
    const ok = await ec2.hasDefaultNetwork(signal).catch(refusalAsNull);
    return { check, ok: ok === true, detail: ok === true ? "the default VPC" : "there is no default VPC; name a subnet" };
  }
  const subnets = await ec2.subnets(networks, signal).catch(refusalAsNull);
  if (subnets === null || subnets.length !== networks.length) {
    return { check, ok: false, detail: `not all of ${networks.join(", ")} are there` };
  }
  const elsewhere = subnets.find((subnet) => zone !== undefined && subnet.zone !== zone);
  if (elsewhere !== undefined)
    return { check, ok: false, detail: `${elsewhere.id} is in ${elsewhere.zone}, not in ${zone ?? ""}` };
  const full = subnets.find(({ freeAddresses }) => freeAddresses === 0);
  if (full !== undefined) return { check, ok: false, detail: `${full.id} has no free address` };
  return {
    check,
    ok: true,
    detail: subnets.map(({ id, freeAddresses }) => `${id} with ${freeAddresses} free addresses`).join(", "),
  };
}

const dryWish = (machine: WantedMachine, image: string): RunInstance => ({
  token: "preflight",
  size: machine.size,
  image,
  subnet: machine.networks?.[0] ?? null,
  zone: machine.zone ?? null,
  publicIp: machine.publicIp ?? false,
  securityGroups: machine.firewalls ?? [],
  sshKey: machine.sshKeys?.[0] ?? null,
  placementGroup: machine.placementGroup ?? null,
  spot: machine.spot ?? false,
  identity: machine.identity ?? null,
  name: "preflight",
  labels: {},
});

const authAsText = (failure: unknown): string => {
  if (failedAs(failure, "Auth")) return failure.error.message;
  throw failure;
};

/** The vendor says that there is no such thing, or that we may not look. */
const refusalAsNull = (failure: unknown): null => {
  if (failedAs(failure, "Invalid") || failedAs(failure, "NotFound") || failedAs(failure, "Auth")) return null;
  throw failure;
};

/** The vendor's own word; a wrong image or type is said by its own check. */
function outcomeOf(failure: unknown): string {
  if (!(failure instanceof CloudFailure)) throw failure;
  const { _tag: tag, code = "", message } = failure.error;
  if (tag === "Transient" || tag === "Throttled") throw failure;
  return code === permittedCode || tag === "Auth" ? (code === permittedCode ? code : message) : `${code}: ${message}`;
}
