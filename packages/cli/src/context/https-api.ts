/** The {@link Api} over the HTTP client that programs use: what is a value there, a refusal or silence, ends a command here. */
import type { Rejection } from "@aether/core/kernel/command";
import { openHttpClient } from "@aether/node/client/http-client";
import { clientTls, type TlsMaterial } from "@aether/node/identity/tls";
import { exit, Failure, refused } from "../shell/failure.ts";
import type { Api, EntryAnswer } from "./api.ts";

export interface Credentials extends TlsMaterial {
  readonly clusterId: string;
}

/** Asks the endpoints in order until one answers; the one that did is asked first the next time. */
export function openHttpsApi(endpoints: readonly string[], credentials: Credentials): Api {
  if (endpoints.length === 0) throw new Failure(exit.failed, "the context names no endpoint", "give one: --endpoint HOST:PORT");
  const client = openHttpClient({ endpoints, tls: clientTls(credentials, { clusterId: credentials.clusterId }) });
  return {
    call: async <A>(method: "GET" | "PUT" | "POST" | "DELETE", path: string, options = {}) => {
      const answer = await client.call(method, path, options);
      if (!answer.ok) throw failureOf(answer.rejection, "reason" in answer.problem);
      return answer.body as A;
    },
    bytes: async (path) => {
      const answer = await client.bytes(path);
      if (!answer.ok) throw failureOf(answer.rejection, "reason" in answer.problem);
      return answer.bytes;
    },
    lines: async ({ path, from, onLine }) => {
      const ended = await client.lines({ path, from, onLine: (line) => onLine(line as unknown as EntryAnswer) });
      if (ended !== null) throw failureOf(ended, ended.reason !== "not_ready");
    },
    close: () => client.close(),
  };
}

/** When no server has said anything, the hint is what an operator can do about that. */
function failureOf(rejection: Rejection, fromServer: boolean): Failure {
  if (fromServer) return refused(rejection);
  if (rejection.reason === "unauthenticated" || allHungUp(rejection.message)) {
    const hint = "they listen and hang up: is this context's certificate of this cluster, and still valid? aether context list";
    return refused({ reason: "unauthenticated", message: rejection.message, hint });
  }
  const hint = "aether cluster status shows who is there; aether cluster start brings local members back";
  return refused({ ...rejection, hint });
}

/** A member that does not believe a certificate ends the connection without a word; when all do, it is hardly the network. */
const allHungUp = (message: string): boolean => {
  const [, list] = message.split("no member answers: ");
  return list !== undefined && list.split("; ").every((part) => part.endsWith(" ECONNRESET"));
};
