/** Which image a machine starts from: an AMI by its id, or the newest of Debian's own. */
import type { Clock } from "../http/clock.ts";
import { makeExpiring, type Expiring } from "../http/expiring.ts";
import type { Ec2 } from "./ec2.ts";
import { fault } from "./failure.ts";

/** In place of an AMI's id: the newest official Debian 12 for the size's processor. Nothing ("") means the same. */
export const debianImage = "debian-12";

/** Debian's account in the vendor's main partition (the Debian cloud team publishes there). Unchecked here. */
const debianOwner = "136693071363";
/** As Debian calls what the vendor calls otherwise. */
const debianArchitectures: Readonly<Record<string, string>> = { x86_64: "amd64", arm64: "arm64" };
/** So long one answer serves: the nodes of one cluster start alike. */
const rememberMs = 600_000;
const sizesMax = 100;

export interface Images {
  /** The id of an AMI. Invalid for a size or an image that there is not. */
  readonly resolve: (image: string, size: string, signal: AbortSignal) => Promise<string>;
}

/**
 * An image that is published between two tries of one create makes another wish of it, which the vendor refuses under the same token;
 * then the next look finds what the first try made. So nothing needs to be remembered for longer than a while.
 */
export function makeImages(ec2: Ec2, clock: Clock): Images {
  const bySize = new Map<string, Expiring<string>>();
  return {
    resolve: async (image, size, signal) => {
      if (/^ami-[0-9a-f]+$/.test(image)) return image;
      if (image !== "" && image !== debianImage) {
        const message = `${JSON.stringify(image)} is neither the id of an AMI nor ${debianImage}`;
        throw fault({ _tag: "Invalid", op: `image ${image}`, message });
      }
      const known = bySize.get(size);
      if (known !== undefined) return known.get(signal);
      if (bySize.size >= sizesMax) throw new Error(`more than ${sizesMax} instance types in one cluster`);
      const fetch = async (until: AbortSignal) => ({
        value: await newestDebian(ec2, size, until),
        expiresAt: clock.now() + rememberMs,
      });
      const fresh = makeExpiring({ clock, earlyMs: 0, fetch });
      bySize.set(size, fresh);
      return fresh.get(signal);
    },
  };
}

async function newestDebian(ec2: Ec2, size: string, signal: AbortSignal): Promise<string> {
  const op = `image for ${size}`;
  const [architecture] = (await ec2.architectures(size, signal)).flatMap((one) => debianArchitectures[one] ?? []);
  if (architecture === undefined)
    throw fault({ _tag: "Invalid", op, message: `there is no Debian image for the processor of ${size}` });
  const all = await ec2.imagesOf(debianOwner, `${debianImage}-${architecture}-*`, signal);
  const newest = all.toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : -1))[0];
  if (newest !== undefined) return newest.id;
  const message = `this region has no image ${debianImage}-${architecture}-* of ${debianOwner}; name an AMI as image`;
  throw fault({ _tag: "Invalid", op, message });
}
