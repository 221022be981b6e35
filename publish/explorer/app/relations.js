// What a release says beside its pictures: pairs, near-duplicates, changes and rejected rows.

import { Table } from './tables.js'
import { once, readText } from './ranges.js'

const PAIR_COLUMNS = [
  'id', 'source', 'prompt', 'image_1_id', 'image_2_id', 'model_1', 'model_2', 'category', 'decision', 'num_responses',
  'agreement', 'votes_image_1', 'votes_image_2', 'votes_both_good', 'votes_both_bad', 'votes_tie', 'votes_toxic',
  'votes',
]
const SHOWN_CHARS = 4000 // of a text in a list
// Config → the columns that name a row in changes.parquet. Other configs have the same rows.
const KEYS = { prompts: ['image_id'], captions: ['caption_id'], preferences: ['source', 'id'], generation: ['request_key'] }

/** Return all rows of a table as objects with some columns and their own number. */
async function readAll(table, columns) {
  const rows = []
  for await (const { start, numRows, values } of table.groups(columns)) {
    for (let at = 0; at < numRows; at++) {
      const row = { number: start + at }
      for (const column of columns) row[column] = values[column][at]
      rows.push(row)
    }
  }
  return rows
}

export class Relations {
  /**
   * @param {object} manifest
   * @param {Record<string, Table>} tables by config
   * @param {{release: string, previous: string | null, rejected: string | null, rejectedBytes: number}} places
   */
  constructor(manifest, tables, places) { Object.assign(this, { manifest, tables, places }) }

  #file(name) {
    const entry = this.manifest.files.find((each) => each.path === name)
    return entry ? new Table(this.places.release, [{ path: name, num_bytes: entry.num_bytes, num_rows: 0 }]) : null
  }

  /** Return all pairs, those on which people disagree most first; pairs without two votes come last. */
  pairs() { return once(this, 'readPairs', () => this.#readPairs()) }

  async #readPairs() {
    if (!this.tables.preferences) return []
    const rows = await readAll(this.tables.preferences, PAIR_COLUMNS)
    for (const row of rows) row.prompt = row.prompt?.slice(0, SHOWN_CHARS) ?? null
    const doubt = (row) => (row.num_responses > 1 && row.agreement != null ? row.agreement : 2)
    return rows.sort((one, other) => doubt(one) - doubt(other) || other.num_responses - one.num_responses || one.number - other.number)
  }

  /** Return every column of a pair, with its votes. */
  pair(number) { return this.tables.preferences.row(number) }

  /** Return the groups of near-duplicates, the largest first. */
  groups() { return once(this, 'readGroups', () => this.#readGroups()) }

  async #readGroups() {
    const table = this.#file('near_duplicates.parquet')
    if (!table) return null
    const groups = new Map()
    for (const row of await readAll(table, ['image_id', 'group', 'similarity', 'hash_distance', 'kind'])) {
      if (!groups.has(row.group)) groups.set(row.group, { group: row.group, images: [] })
      groups.get(row.group).images.push(row)
    }
    return [...groups.values()].sort((one, other) => other.images.length - one.images.length || (one.group < other.group ? -1 : 1))
  }

  /** Return the rows that differ from the previous release, without those of configs that repeat others. */
  changes() { return once(this, 'readChanges', () => this.#readChanges()) }

  async #readChanges() {
    const table = this.#file('changes.parquet')
    if (!table) return null
    const rows = await readAll(table, ['config', 'split', 'change', 'id', 'columns'])
    return { rows: rows.filter((row) => KEYS[row.config]), hasPrevious: Boolean(this.places.previous) }
  }

  /** Return a changed row as it was and as it is: null where there is none, undefined where it is not at hand. */
  async change({ config, id, change }) {
    const [before, after] = await Promise.all([
      change === 'added' ? null : this.#previousRow(config, id),
      change === 'removed' ? null : this.#rowOf(this.tables[config], config, id),
    ])
    return { before, after }
  }

  async #previousRow(config, id) {
    const tables = await this.#previousTables()
    return tables[config] ? this.#rowOf(tables[config], config, id) : undefined
  }

  async #previousTables() {
    if (!this.places.previous) return {}
    return once(this, 'previous', async () => openTables(JSON.parse(await readText(`${this.places.previous}manifest.json`)), this.places.previous))
  }

  /** Return the bytes of an image of the previous release. */
  async previousImage(id) {
    const { prompts, default: images } = await this.#previousTables()
    const number = await this.#numberOf(prompts, 'prompts', id)
    if (number === undefined) throw new Error(`the previous release has no picture ${id}`)
    const { bytes } = await images.cell('image', number, true)
    return bytes.slice().buffer
  }

  async #rowOf(table, config, id) {
    const number = await this.#numberOf(table, config, id)
    return number === undefined ? undefined : table.row(number)
  }

  async #numberOf(table, config, id) {
    const numbers = await once(table, 'numbers', () => this.#numbers(table, config))
    return numbers.get(id)
  }

  async #numbers(table, config) {
    const rows = await readAll(table, KEYS[config])
    return new Map(rows.map((row) => [KEYS[config].map((column) => row[column]).join('/'), row.number]))
  }

  /** Return the rejected rows, or null where the folder has none. */
  async rejected() {
    const { rejected, rejectedBytes } = this.places
    if (!rejected) return null
    const cut = rejected.lastIndexOf('/') + 1
    const table = new Table(rejected.slice(0, cut), [{ path: rejected.slice(cut), num_bytes: rejectedBytes, num_rows: 0 }])
    const rows = await readAll(table, ['table', 'source', 'file', 'row', 'name', 'reason', 'problems', 'raw'])
    return rows.map((row) => ({ ...row, raw: row.raw?.slice(0, SHOWN_CHARS) ?? '' }))
  }

  /** Return what else is known of a picture, with the problems of what cannot be read. */
  async about(pictures, row) {
    const id = pictures.ids[row]
    const problems = []
    const read = (reading, otherwise) => reading.catch((error) => { problems.push(error.message); return otherwise })
    const [captions, pairs, groups, request] = await Promise.all([
      read(this.#captions(pictures, row, read), []), read(this.pairs(), []), read(this.groups(), null), read(this.#request(id), null),
    ])
    return {
      captions,
      request,
      pairs: pairs.filter((pair) => pair.image_1_id === id || pair.image_2_id === id),
      duplicates: groups?.find((group) => group.images.some((image) => image.image_id === id))?.images ?? [],
      adherence: pictures.adherence?.[row] ?? null,
      problems: [...new Set(problems)],
      canCheck: Boolean(this.places.checks),
    }
  }

  async #captions(pictures, row, read) {
    await pictures.seen
    const numbers = pictures.captionRows.get(row) ?? []
    const scores = this.tables[`${pictures.features}_captions`]
    return Promise.all(numbers.map(async (number) => {
      const caption = await this.tables.captions.row(number)
      return {
        ...caption,
        similarity: scores ? await read(scores.cell('similarity', number), null) : null,
      }
    }))
  }

  async #request(id) {
    const table = this.tables.generation
    if (!table) return null
    const numbers = await once(this, 'requests', async () => new Map((await readAll(table, ['image_id'])).map((row) => [row.image_id, row.number])))
    const number = numbers.get(id)
    return number === undefined ? null : table.row(number)
  }
}

/** Return the Parquet tables of a release by config, from its manifest. */
export function openTables(manifest, base) {
  const shards = {}
  for (const shard of manifest.shards) {
    if (shard.path.endsWith('.parquet')) (shards[shard.config] ??= []).push(shard)
  }
  return Object.fromEntries(Object.entries(shards).map(([config, own]) => [config, new Table(base, own)]))
}
