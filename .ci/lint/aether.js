/**
 * Aether's own lint rules: the floors of the house, the purity of the rules, and deep imports of effect.
 * The floors are data: a package may import those listed and nothing else of ours.
 */
const floors = {
  core: [],
  raft: [],
  cloud: ["core"],
  store: ["raft", "core"],
  node: ["store", "raft", "cloud", "core"],
  cli: ["node", "store", "cloud", "core"],
  sim: ["cli", "node", "store", "cloud", "raft", "core"],
};

const isTest = (file) => /\.test\.ts$|\/testing\//.test(file);
const roomOf = (file) => /packages\/([a-z-]+)\/src\//.exec(file)?.[1];
const isPure = (file) => !isTest(file) && (/packages\/core\/src\//.test(file) || /packages\/raft\/src\/core\//.test(file));

/** Calls `check(node, specifier)` for every static import, re-export and literal dynamic import. */
const onImports = (check) => {
  const visit = (node) => node.source && typeof node.source.value === "string" && check(node, node.source.value);
  return { ImportDeclaration: visit, ExportNamedDeclaration: visit, ExportAllDeclaration: visit, ImportExpression: visit };
};

const floorsRule = {
  create(context) {
    const room = roomOf(context.filename);
    const allowed = floors[room];
    if (allowed === undefined) return {};
    return onImports((node, specifier) => {
      const ours = /^@aether\/([a-z-]+)(\/|$)/.exec(specifier)?.[1];
      if (ours !== undefined && !allowed.includes(ours)) {
        const may = allowed.length === 0 ? "nothing of ours" : allowed.join(", ");
        context.report({ node, message: `packages/${room} may not import packages/${ours}: its floor allows ${may}` });
      }
      const climbs = specifier.startsWith(".") && new URL(specifier, `file://${context.filename}`).pathname;
      if (climbs && !climbs.includes(`/packages/${room}/`) && !isTest(context.filename)) {
        context.report({ node, message: `${specifier} leaves packages/${room}: import another package by its name` });
      }
    });
  },
};

const impureGlobals = new Set([
  "Date",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "clearTimeout",
  "clearInterval",
  "queueMicrotask",
  "process",
  "fetch",
  "performance",
  "crypto",
]);

const purityRule = {
  create(context) {
    if (!isPure(context.filename)) return {};
    const report = (node, what) =>
      context.report({ node, message: `${what} has no place in pure code: time, ids and chance come in as values` });
    return {
      ...onImports((node, specifier) => {
        if (specifier.startsWith("node:")) report(node, specifier);
      }),
      MemberExpression(node) {
        if (node.object.name === "Math" && node.property.name === "random") report(node, "Math.random");
        if (node.object.type === "Identifier" && impureGlobals.has(node.object.name)) report(node, node.object.name);
      },
      CallExpression(node) {
        if (node.callee.type === "Identifier" && impureGlobals.has(node.callee.name)) report(node, node.callee.name);
      },
      NewExpression(node) {
        if (node.callee.type === "Identifier" && impureGlobals.has(node.callee.name)) report(node, node.callee.name);
        if (node.callee.name === "Promise" && /packages\/raft\/src\/core\//.test(context.filename)) report(node, "Promise");
      },
    };
  },
};

const deepEffectRule = {
  create(context) {
    if (isTest(context.filename) || roomOf(context.filename) === undefined) return {};
    return onImports((node, specifier) => {
      const barrels = ["effect", "@effect/platform-node", "effect/http-api", "effect/http", "effect/cli"];
      if (barrels.includes(specifier) && node.importKind !== "type") {
        context.report({ node, message: `${specifier} is a barrel and costs start-up time: import the module itself` });
      }
    });
  },
};

export default {
  meta: { name: "aether" },
  rules: { floors: floorsRule, purity: purityRule, "deep-effect": deepEffectRule },
};
