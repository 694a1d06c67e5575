/** With credentials of another account a cluster's machines look as if there were none: then nothing is made, and nothing called gone. */
import { flatMap, type Effect } from "effect/Effect";
import { asEffect } from "../failure.ts";
import type { CloudError, Compute } from "../provider.ts";
import { fault } from "./failure.ts";
import type { Sts } from "./sts.ts";

/** `account`: twelve digits. Asks once who calls, before the first call that matters; fails as Auth forbidden. */
export function guardAccount(compute: Compute, sts: Sts, account: string): Compute {
  let isOurs = false;
  const look = asEffect(async (signal) => {
    if (isOurs) return;
    const caller = await sts.caller(signal);
    isOurs = caller.account === account;
    if (isOurs) return;
    const message = `the credentials are of account ${caller.account}, and [aws] account is ${account}`;
    throw fault({ _tag: "Auth", kind: "forbidden", op: "look whose account it is", message });
  });
  const after = <A>(effect: Effect<A, CloudError>): Effect<A, CloudError> => flatMap(look, () => effect);
  return {
    ensure: (spec) => after(compute.ensure(spec)),
    get: (id) => after(compute.get(id)),
    list: (selector) => after(compute.list(selector)),
    delete: (id) => after(compute.delete(id)),
    power: (id, action) => after(compute.power(id, action)),
    label: (id, patch) => after(compute.label(id, patch)),
    awaitState: (id, want, within) => after(compute.awaitState(id, want, within)),
  };
}
