/** `npm start`: install, build, bootstrap a real three-member cluster on this machine, and show it. */
import { install, run } from "./install.js";

const file = process.argv[2] ?? "fixtures/clusters/local.toml";

install();
run("the build", [".ci/build.ts"]);
run("the bootstrap", ["packages/cli/dist/aether.js", "cluster", "bootstrap", "--config", file]);
run("the status", ["packages/cli/dist/aether.js", "cluster", "status"]);

console.log(`
This is a real cluster: three processes, mutual TLS, a replicated log on disk. What to try next:

  npx aether events                                   every event that made it so
  npx aether settings set cpu_warning 0.8             write something
  npx aether cluster status --watch                   … in a second terminal, then kill the leader:
  kill -9 $(npx aether cluster status -o json | node -pe 's=JSON.parse(fs.readFileSync(0));s.members.find(m=>m.name===s.leader).pid')
  npx aether cluster start                            bring the dead member back
  npx aether cluster scale --nodes 5                  grow it
  npx aether node drain n2 && npx aether node shutdown n2
  npx aether audit verify                             prove the log
  npx aether cluster destroy                          end it and remove its data
`);
