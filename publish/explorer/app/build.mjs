// Bundles the page and its worker, and puts the licences of the packages in them beside the bundles.
// The same sources and packages make the same bytes: tests/publish/explorer/test_bundle.py compares.
import { readFile, writeFile } from 'node:fs/promises'
import { build } from 'esbuild'

const out = process.argv[2] ?? '../static'
await build({
  entryPoints: ['explorer.js', 'reader.js'],
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  charset: 'utf8',
  legalComments: 'none',
  outdir: out,
})
const { dependencies } = JSON.parse(await readFile('package.json', 'utf8'))
const parts = []
for (const [name, version] of Object.entries(dependencies)) {
  const text = await readFile(`node_modules/${name}/LICENSE`, 'utf8')
  parts.push(`${name} ${version}\n\n${text.replaceAll('\r\n', '\n').trim()}\n`)
}
await writeFile(`${out}/licenses.txt`, parts.join('\n----\n\n'))
