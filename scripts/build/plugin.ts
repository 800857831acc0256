/**
 * What makes one file of packages that expect a folder: five imports resolve to something else, and the packages
 * themselves stay as they are.
 *
 *   node:worker_threads   from piscina      inside/pool-thread.ts: a pool thread runs the one file again
 *   @napi-rs/nice         from piscina      inside/nice.ts
 *   node-gyp-build        from serialport   inside/native-binding.ts with serialport's prebuilds
 *   edgeloop:pool-thread  from our entry    inside/pool-thread.ts
 *   edgeloop:pool-worker  from our entry    piscina's dist/worker.js, which its exports map hides
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Plugin } from 'esbuild';
import { readPrebuilds } from './prebuilds.ts';

const inside = (name: string): string => join(import.meta.dirname, 'inside', name);
const piscinaFolder = dirname(createRequire(import.meta.url).resolve('piscina'));

export const oneFile: Plugin = {
  name: 'one-file',
  setup(build) {
    build.onResolve({ filter: /^node:worker_threads$/ }, ({ importer }) =>
      importer.startsWith(piscinaFolder) ? { path: inside('pool-thread.ts') } : undefined,
    );
    build.onResolve({ filter: /^@napi-rs\/nice$/ }, () => ({ path: inside('nice.ts') }));
    build.onResolve({ filter: /^edgeloop:pool-thread$/ }, () => ({ path: inside('pool-thread.ts') }));
    build.onResolve({ filter: /^edgeloop:pool-worker$/ }, () => ({ path: join(piscinaFolder, 'worker.js') }));
    build.onResolve({ filter: /^node-gyp-build$/ }, ({ resolveDir }) => ({
      path: 'native-binding',
      namespace: 'edgeloop',
      pluginData: dirname(resolveDir), // the package's folder; the import comes from its dist/
    }));
    build.onLoad({ filter: /^native-binding$/, namespace: 'edgeloop' }, ({ pluginData }) => ({
      contents: nativeBindingModule(pluginData),
      resolveDir: import.meta.dirname,
    }));
  },
};

function nativeBindingModule(bindingsFolder: string): string {
  const entries = Object.entries(readPrebuilds(bindingsFolder)).map(
    ([machine, { sha256, brotliBase64 }]) =>
      `  '${machine}': { sha256: '${sha256}', brotliBase64: \`\n${brotliBase64}\` },\n`,
  );
  return (
    `import { loadNativeBinding } from './inside/native-binding.ts';\n` +
    `const prebuilds = {\n${entries.join('')}};\n` +
    `export default () => loadNativeBinding(prebuilds);\n`
  );
}
