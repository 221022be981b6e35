// The page's worker: reads the release, and answers what the page asks. Nothing here touches the page.

import { Pictures } from './pictures.js'
import { Relations, openTables } from './relations.js'
import { Thumbnails } from './thumbnails.js'
import { readText, traffic } from './ranges.js'

const emit = (event, transfer = []) => self.postMessage(event, transfer)
let pictures
let relations
let thumbnails

const answers = {
  async open(settings) {
    const text = await readText(`${settings.release}manifest.json`)
    if (text === null) throw new Error('there is no manifest.json where the release should be')
    const manifest = JSON.parse(text)
    const tables = openTables(manifest, settings.release)
    if (!tables.prompts || !tables.default) throw new Error('the release has no pictures')
    thumbnails = new Thumbnails(settings.thumbnails, tables.default)
    await thumbnails.open()
    pictures = new Pictures(tables, emit)
    relations = new Relations(manifest, tables, settings)
    const { inputs, counts, changes } = manifest
    return {
      title: inputs.dataset.title, name: inputs.dataset.name, version: inputs.version, counts, changes,
      numRows: pictures.numRows, features: pictures.features,
      hasPairs: Boolean(tables.preferences), hasChanges: Boolean(changes),
      hasGroups: manifest.files.some((file) => file.path === 'near_duplicates.parquet'),
    }
  },
  select: (view) => pictures.select(view),
  tiles: (rows) => pictures.tiles(rows),
  thumbnails: (rows) => thumbnails.get(rows, (row, data) => {
    const copy = data.slice(0)
    emit({ event: 'thumbnail', row, data: copy }, [copy])
  }),
  async place(id) {
    await pictures.ready
    return pictures.rowOf.get(id) ?? null
  },
  async places(ids) {
    await pictures.ready
    return ids.map((id) => pictures.rowOf.get(id) ?? null)
  },
  async picture(row) { return relations.tables.prompts.row(row) },
  about: (row) => relations.about(pictures, row),
  image: (row) => thumbnails.image(row),
  pairs: () => relations.pairs(),
  pair: (number) => relations.pair(number),
  groups: () => relations.groups(),
  changes: () => relations.changes(),
  change: (change) => relations.change(change),
  previousImage: (id) => relations.previousImage(id),
  rejected: () => relations.rejected(),
  traffic: () => ({ ...traffic }),
}

self.onmessage = async ({ data: { number, name, values } }) => {
  try {
    self.postMessage({ number, value: await answers[name](...values) })
  } catch (error) {
    self.postMessage({ number, error: error.message })
  }
}
