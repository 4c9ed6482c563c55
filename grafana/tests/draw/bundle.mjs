// Bundles the page: what it takes of Grafana's packages, its font and its styles. Written to bundle/.
import { build } from 'esbuild';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const here = dirname(fileURLToPath(import.meta.url));

// Parts of @grafana/ui that no panel of ours needs, and that would be most of the bundle: editors and maps.
const left = /^(monaco-editor|@monaco-editor\/react|react-monaco-editor|ol|ol\/.*|@codemirror\/.*|codemirror)$/;
const without = {
  name: 'without',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: left }, ({ path }) => ({ path, namespace: 'without' }));
    onLoad({ filter: /.*/, namespace: 'without' }, () => ({ contents: 'module.exports = new Proxy({}, { get: () => class {} });', loader: 'js' }));
  },
};

export async function bundle() {
  await build({
    entryPoints: [join(here, 'src', 'page.jsx')],
    outfile: join(here, 'bundle', 'page.js'),
    bundle: true,
    format: 'iife',
    jsx: 'automatic',
    loader: { '.svg': 'dataurl', '.png': 'dataurl' },
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    plugins: [without],
    logLevel: 'error',
  });
}
