/** Could instances be made with these credentials, of this size, from this image: by a dry run that the vendor offers. */
import { CloudFailure } from "../failure.ts";
import type { MachineSpec, PreflightCheck } from "../provider.ts";
import type { Ec2 } from "./ec2.ts";
import { failedAs } from "./failure.ts";

export type WantedMachine = Pick<MachineSpec, "size" | "image" | "zone">;

/** What DryRun answers when the call would be permitted (HTTP 412). */
const permittedCode = "DryRunOperation";

export async function preflight(
  ec2: Ec2,
  region: string,
  machine: WantedMachine,
  signal: AbortSignal,
): Promise<readonly PreflightCheck[]> {
  const { size, image, zone } = machine;
  const zones = await ec2.offerings(size, signal).catch(authAsText);
  const read = {
    check: "the credentials are accepted",
    ok: typeof zones !== "string",
    detail: typeof zones === "string" ? zones : "they may read",
  };
  if (typeof zones === "string") return [read];
  const images = await ec2.images(image, signal).catch(authAsText);
  const create = await ec2.dryRun(dryWish(machine), signal).then(() => "the dry run was carried out", outcomeOf);
  const isOffered = zone === undefined ? zones.length > 0 : zones.includes(zone);
  return [
    read,
    { check: "the credentials may create", ok: create === permittedCode, detail: create },
    {
      check: "the instance type",
      ok: isOffered,
      detail: isOffered ? `${size} in ${zones.join(", ")}` : `${size} is not offered in ${zone ?? region}`,
    },
    { check: "the image", ok: images === 1, detail: images === 1 ? image : `there is no image ${image} in ${region}` },
  ];
}

const dryWish = ({ size, image, zone }: WantedMachine) => ({
  token: "preflight",
  size,
  image,
  subnet: null,
  zone: zone ?? null,
  publicIp: false,
  securityGroups: [],
  sshKey: null,
  placementGroup: null,
  name: "preflight",
  labels: {},
});

const authAsText = (failure: unknown): string => {
  if (failedAs(failure, "Auth")) return failure.error.message;
  throw failure;
};

/** The vendor's own word; a wrong image or type is said by its own check. */
function outcomeOf(failure: unknown): string {
  if (!(failure instanceof CloudFailure)) throw failure;
  const { _tag: tag, code = "", message } = failure.error;
  if (tag === "Transient" || tag === "Throttled") throw failure;
  return code === permittedCode || tag === "Auth" ? (code === permittedCode ? code : message) : `${code}: ${message}`;
}
