import type { FileFolder } from "../../file-folder.ts";
import { noPace } from "../../pace.ts";
import { ObjectPack } from "../object-pack.ts";
import type { PackMade } from "../pack-format.ts";
import { Steps } from "../steps.ts";

/** New objects as one pack, as a backup writes them; it rests for nobody. One at a time in a folder. */
export class QuickPack extends ObjectPack {
  constructor(folder: FileFolder) {
    super(folder, "test");
  }

  override finish(steps: Steps = new Steps(noPace)): Promise<PackMade | null> {
    return super.finish(steps);
  }
}
