/** A git server's repository brought here over HTTPS: its branch, whole, as one pack that is written to disk as it comes. */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { withFile } from "../file-folder.ts";
import { indexPack } from "./index-pack.ts";
import { flush, pktLine, PktReader, ProtocolFault } from "./pkt-line.ts";
import { firstBand } from "./remote-push.ts";
import { branch, Repository } from "./repository.ts";
import { askForRefs, callService, type HttpRemote, Refused, shown } from "./smart-http.ts";
import { making, type Transfer } from "./transfer.ts";

const service = "git-upload-pack";
const sumBytes = 20;
const wanted = ["side-band-64k", "ofs-delta", "no-progress", "object-format=sha1"];

/**
 * Into `dir`, which is made; where it has the same commits already they come again. Rejects with {@link Refused}, ProtocolFault, Unreachable,
 * ObjectDamaged, or what the file system says.
 */
export async function cloneHttp(asked: HttpRemote, dir: string, transfer: Transfer): Promise<Repository> {
  const { remote, advertised } = await askForRefs(asked, service);
  const { refs, capabilities, shallow } = advertised;
  const head = refs.get(branch);
  if (head === undefined) throw new Refused(`${shown(remote.url)} has no ${branch}`);
  if (!capabilities.has("side-band-64k") || !capabilities.has("ofs-delta"))
    throw new Refused(`${shown(remote.url)} speaks git as it was before 2008`);
  const repository = await Repository.create(dir);
  const before = await repository.head();
  if (before === head) return repository;
  const can = wanted.filter((each) => capabilities.has(each)).join(" ");
  const body = Buffer.from(`${pktLine(`want ${head} ${can} agent=aether\n`)}${flush}${pktLine("done\n")}`);
  const request = { body: Readable.from([body]), length: body.length };
  await callService(remote, service, request, (answer) => receive(repository, answer, transfer));
  if (shallow.length > 0) await repository.setBoundary(shallow);
  await repository.moveHead(before, head);
  return repository;
}

async function receive({ packFolder }: Repository, answer: AsyncIterable<Uint8Array>, transfer: Transfer): Promise<void> {
  const name = `making-${making("clone")}`;
  try {
    const sum = await withFile(packFolder, `${name}.pack`, "write", async (file) => {
      const tail = new Tail();
      let done = 0;
      for await (const bytes of packIn(answer)) {
        tail.add(bytes);
        await file.write(bytes);
        done += bytes.length;
        transfer.onProgress({ phase: "receiving", done, of: null });
        if (transfer.steps.due) await transfer.steps.rest();
      }
      await file.sync();
      return tail.sum();
    });
    await indexPack(packFolder, name, sum, transfer);
    const made = `pack-${sum.toString("hex")}`;
    await packFolder.rename(`${name}.pack`, `${made}.pack`);
    await packFolder.sync();
    await packFolder.rename(`${name}.idx`, `${made}.idx`);
    await packFolder.sync();
  } catch (error) {
    for (const ending of ["pack", "idx"]) await packFolder.remove(`${name}.${ending}`).catch(() => undefined);
    throw error;
  }
}

/** The pack in the answer: after a line that says that nothing is known of what is here. */
async function* packIn(answer: AsyncIterable<Uint8Array>): AsyncIterable<Buffer> {
  const lines = new PktReader(answer);
  const first = await lines.next();
  if (first?.toString().trimEnd() !== "NAK") throw new ProtocolFault("the remote does not answer what it was asked for");
  yield* firstBand(lines.rest(), []);
}

/** The SHA-1 of all but the last bytes, which should be that. */
class Tail {
  private readonly hash = createHash("sha1");
  private last = Buffer.alloc(0);

  add(bytes: Buffer): void {
    const all = Buffer.concat([this.last, bytes]);
    const cut = Math.max(0, all.length - sumBytes);
    this.hash.update(all.subarray(0, cut));
    this.last = all.subarray(cut);
  }

  sum(): Buffer {
    const sum = this.hash.digest();
    if (!sum.equals(this.last)) throw new ProtocolFault("the pack that the remote sent is cut short, or altered");
    return sum;
  }
}
