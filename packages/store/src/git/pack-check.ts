/** Whether a pack is still what was written, byte for byte: it ends in a hash of all before it. */
import { createHash } from "node:crypto";
import { type FileFolder, withFile } from "../file-folder.ts";
import type { Steps } from "./steps.ts";

const sumBytes = 20;
const readBytes = 256 * 1024;

/** `name` with its ending. */
export const packIsWhole = (folder: FileFolder, name: string, steps: Steps): Promise<boolean> =>
  withFile(folder, name, "read", async (file) => {
    const end = (await file.size()) - sumBytes;
    const sum = createHash("sha1");
    const into = Buffer.allocUnsafe(readBytes);
    for (let at = 0; at < end;) {
      const part = await file.read(at, Math.min(readBytes, end - at), into);
      if (part.length === 0) return false;
      sum.update(part);
      at += part.length;
      if (steps.due) await steps.rest();
    }
    return end > 0 && sum.digest().equals(await file.read(end, sumBytes));
  });
