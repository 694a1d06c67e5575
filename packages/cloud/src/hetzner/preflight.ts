/** Could servers be made with this token, of this size, from this image, in this place: asked without making one. */
import type { MachineSpec, PreflightCheck } from "../provider.ts";
import type { HetznerApi } from "./api.ts";
import { failedAs } from "./failure.ts";

export type WantedMachine = Pick<MachineSpec, "size" | "image">;

export async function preflight(
  api: HetznerApi,
  region: string,
  machine: WantedMachine,
  signal: AbortSignal,
): Promise<readonly PreflightCheck[]> {
  const { size, image } = machine;
  const read = await permitted(() => api.locations(region, signal));
  const token = { check: "the token is accepted", ok: read.ok, detail: read.ok ? "it may read" : read.message };
  if (!read.ok) return [token];
  const type = (await api.serverTypes(size, signal)).find((one) => one.name === size);
  const price = type?.prices.find(({ location }) => location === region)?.price_hourly.net;
  const images = type === undefined ? 0 : await api.images(image, type.architecture ?? "x86", signal);
  const create = await permitted(() => api.probeCreate(signal));
  const isThere = read.value?.includes(region) ?? false;
  return [
    token,
    {
      check: "the token may create",
      ok: create.ok,
      detail: create.ok ? "a server without a name was refused for its name" : create.message,
    },
    { check: "the location", ok: isThere, detail: isThere ? region : `there is no location ${region}` },
    {
      check: "the server type",
      ok: price !== undefined,
      detail: price === undefined ? `${size} is not offered in ${region}` : `${size}, ${price} EUR an hour before tax`,
    },
    { check: "the image", ok: images > 0, detail: images > 0 ? image : `there is no image ${image} for ${size}` },
  ];
}

type Permission<A> = { readonly ok: true; readonly value: A } | { readonly ok: false; readonly message: string };

/** Refused as unfit counts as permitted: what may not be done is refused before it is read. */
async function permitted<A>(ask: () => Promise<A>): Promise<Permission<A | null>> {
  try {
    return { ok: true, value: await ask() };
  } catch (failure) {
    if (failedAs(failure, "Auth")) return { ok: false, message: failure.error.message };
    if (failedAs(failure, "Invalid")) return { ok: true, value: null };
    throw failure;
  }
}
