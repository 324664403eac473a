// Writes index.js, the CommonJS form of src: `npm run build`. The modules are
// put one after the other, each after those it imports, without the words
// import and export. So no two of them may declare the same name.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);
const imports = /^(?:import|export) \{([^}]*)\} from '\.\/(\w+\.js)';\n/gm;

/** generate answers the text of index.js. */
export async function generate() {
  const modules = new Map();
  await collect('index.js', modules);
  const names = [...modules.get('index.js').matchAll(imports)].flatMap((m) => m[1].split(',')).map((n) => n.trim()).filter(Boolean);
  const bodies = [...modules.values()].map((text) => text.replace(imports, '').replace(/^export (?=class|function|const)/gm, '').trim());
  const text = `'use strict';
// Made from src by script/commonjs.mjs; edit there.

${bodies.filter(Boolean).join('\n\n')}

module.exports = { ${names.sort().join(', ')} };
`;
  const left = text.match(/^(import|export) .*/m);
  if (left) throw new Error(`src has a form of import or export that script/commonjs.mjs does not know: ${left[0]}`);
  return text;
}

/** collect adds a module after those that it imports. */
async function collect(name, modules) {
  if (modules.has(name)) return;
  const text = await readFile(new URL(`src/${name}`, root), 'utf8');
  for (const [, , imported] of text.matchAll(imports)) await collect(imported, modules);
  modules.set(name, text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(new URL('index.js', root), await generate());
