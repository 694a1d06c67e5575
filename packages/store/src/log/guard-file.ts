import { type FileHandle, open } from "node:fs/promises";
import { failpoints } from "@aether/core/kernel/failpoint";
import { type GuardFile, guardSlotBytes } from "./ports.ts";

/** Opens the guard file of a formatted folder. Rejects when it is not there. */
export async function openGuardFile(path: string): Promise<GuardFile> {
  return fileOf(await open(path, "r+"));
}

/** Makes the guard file with both slots preallocated and zero, over an older one if need be. */
export async function createGuardFile(path: string): Promise<GuardFile> {
  const handle = await open(path, "w+");
  await handle.write(Buffer.alloc(2 * guardSlotBytes), 0, 2 * guardSlotBytes, 0);
  await handle.sync();
  return fileOf(handle);
}

const fileOf = (handle: FileHandle): GuardFile => ({
  async read(slot) {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(guardSlotBytes), 0, guardSlotBytes, slot * guardSlotBytes);
    return buffer.subarray(0, bytesRead);
  },
  async write(slot, bytes) {
    if (failpoints.at !== null) await failpoints.at("beforeGuardSync");
    const { bytesWritten } = await handle.write(bytes, 0, bytes.length, slot * guardSlotBytes);
    if (bytesWritten !== bytes.length) throw new Error(`only ${bytesWritten} of the guard's ${bytes.length} bytes were written`);
    await handle.datasync();
    if (failpoints.at !== null) await failpoints.at("afterGuardSync");
  },
  close: () => handle.close(),
});
