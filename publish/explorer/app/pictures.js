// The pictures of a release: their facets, the search in texts, and the order in which they are shown.

import { nameValue, valueOf } from './address.js'
import { Facet, applyFilters } from './facets.js'
import { Embeddings } from './likeness.js'

const MOST_VALUES = 300 // of a facet that are sent to the page
const NUM_BINS = 24
const ASKED = 'Asked in the prompt'
const SEEN = 'Seen by models'

export class Pictures {
  /**
   * @param {Record<string, import('./tables.js').Table>} tables by config
   * @param {(event: object) => void} emit tells the page that more is known
   */
  constructor(tables, emit) {
    Object.assign(this, { tables, emit })
    this.numRows = tables.prompts.numRows
    this.ids = new Array(this.numRows)
    this.rowOf = new Map()
    this.prompts = new Array(this.numRows)
    this.captions = new Array(this.numRows)
    this.facets = new Map()
    this.found = new Map() // text that was searched for → which pictures have it
    this.features = Object.keys(tables).find((name) => name.startsWith('clip_') && !name.endsWith('_captions')) ?? null
    if (this.features) this.embeddings = new Embeddings(tables[this.features], this.numRows)
    this.ready = this.#loadNames()
    // One after the other, since they share the network, and each whatever became of the one before.
    const next = (stage, load) => this.ready.then(() => Promise.allSettled([stage])).then(load)
    this.texts = this.ready.then(() => this.#loadTexts())
    this.scores = next(this.texts, () => this.#loadScores())
    this.seen = next(this.scores, () => this.#loadSeen())
    const told = new Set()
    for (const stage of [this.ready, this.texts, this.scores, this.seen]) {
      stage.catch((error) => {
        if (!told.has(error)) emit({ event: 'problem', message: error.message })
        told.add(error)
      })
    }
  }

  #tell(stage, done, total) { this.emit({ event: 'progress', stage, done, total }) }

  async #loadNames() {
    const names = { generator: 'Generator', split: 'Split', license: 'Licence', format: 'Format' }
    const facets = Object.entries(names).map(([name, title]) => new Facet(name, title, null))
    for await (const { start, numRows, values } of this.tables.prompts.groups(['image_id', ...Object.keys(names)])) {
      for (let at = 0; at < numRows; at++) {
        this.ids[start + at] = values.image_id[at]
        this.rowOf.set(values.image_id[at], start + at)
        for (const facet of facets) facet.add(start + at, values[facet.name][at])
      }
      this.#tell('reading rows', start + numRows, this.numRows)
    }
    for (const facet of facets) this.#publish(facet)
    this.emit({ event: 'facets' })
  }

  #publish(facet) {
    if (facet.finish().values.length) this.facets.set(facet.name, facet)
  }

  async #loadTexts() {
    const asked = new Map()
    const columns = ['prompt', 'captions']
    const hasAsked = await this.tables.prompts.has('prompt_attributes')
    if (hasAsked) columns.push('prompt_attributes')
    for await (const { start, numRows, values } of this.tables.prompts.groups(columns)) {
      for (let at = 0; at < numRows; at++) {
        this.prompts[start + at] = values.prompt[at] ?? ''
        this.captions[start + at] = (values.captions[at] ?? []).join('\n')
        for (const { attribute, value } of hasAsked ? values.prompt_attributes[at] ?? [] : []) {
          addTo(asked, 'asked', ASKED, attribute, value, start + at)
        }
      }
      this.#tell('reading texts', start + numRows, this.numRows)
    }
    for (const facet of asked.values()) this.#publish(facet)
    this.emit({ event: 'texts' })
  }

  async #loadScores() {
    if (!this.features) return
    const adherence = new Float32Array(this.numRows).fill(NaN)
    for await (const { start, values } of this.tables[this.features].groups(['prompt_similarity'])) {
      values.prompt_similarity.forEach((score, at) => { adherence[start + at] = score ?? NaN })
    }
    this.adherence = adherence
    this.emit({ event: 'scores' })
  }

  async #loadSeen() {
    const table = this.tables.captions
    this.captionRows = new Map() // row of a picture → rows of its captions
    if (!table) return
    const seen = new Map()
    for await (const { start, numRows, values } of table.groups(['image_id', 'attributes'])) {
      for (let at = 0; at < numRows; at++) {
        const row = this.rowOf.get(values.image_id[at])
        if (row === undefined) continue
        const rows = this.captionRows.get(row)
        if (rows) rows.push(start + at)
        else this.captionRows.set(row, [start + at])
        for (const { attribute, value } of values.attributes[at] ?? []) addTo(seen, 'seen', SEEN, attribute, value, row)
      }
      this.#tell('reading attributes', start + numRows, table.numRows)
    }
    for (const facet of seen.values()) this.#publish(facet)
    this.emit({ event: 'facets' })
  }

  /**
   * Filter and sort the pictures, and count the values of each facet.
   * @param {{facets: Record<string, string[]>, text: string, adherence: number[] | null, sort: string,
   *   like: string | null, marked: string[] | null, ranking: {rows: number[], similarities: number[]} | null,
   *   wanted?: Record<string, string>}} view `wanted` is a part of the values of a facet that are listed
   */
  async select(view) {
    await this.ready
    const filters = await this.#filters(view)
    const { failures, failed } = applyFilters(this.numRows, filters)
    const own = Object.fromEntries(filters.map(({ name }, number) => [name, number]))
    const order = await this.#order(view)
    const rows = new Uint32Array(this.numRows)
    let length = 0
    for (const row of order.rows ?? this.ids.keys()) if (failures[row] === 0) rows[length++] = row
    const chosen = rows.slice(0, length)
    const facets = [...this.facets.values()].map((facet) => describe(facet, facet.count(failures, failed, own[facet.name] ?? -1), view))
    return {
      rows: chosen,
      similarities: order.similarities ? Float32Array.from(chosen, (row) => order.similarities[row]) : null,
      facets,
      adherence: this.adherence ? this.#histogram(failures, failed, own.adherence ?? -1) : null,
    }
  }

  async #filters({ facets, text, adherence, marked, ranking }) {
    const filters = []
    for (const [name, wanted] of Object.entries(facets)) {
      const facet = this.facets.get(name) ?? await this.#wait(name)
      const has = new Uint8Array(this.numRows)
      facet?.mark(wanted.map(valueOf), has)
      filters.push({ name, has })
    }
    if (text.trim()) filters.push({ name: 'text', has: await this.#find(text.trim()) })
    if (adherence) {
      await this.scores
      const [least, most] = adherence // the second is not part of it
      filters.push({ name: 'adherence', has: Uint8Array.from(this.adherence ?? [], (score) => Number(score >= least && score < most)) })
    }
    if (marked) filters.push({ name: 'marked', has: this.#mask(marked.map((id) => this.rowOf.get(id))) })
    if (ranking) filters.push({ name: 'ranking', has: this.#mask(ranking.rows) })
    return filters
  }

  #mask(rows) {
    const has = new Uint8Array(this.numRows)
    for (const row of rows) if (row !== undefined) has[row] = 1
    return has
  }

  /** Wait for a facet that an address names before it is read. */
  async #wait(name) {
    await (name.startsWith('seen:') ? this.seen : this.texts)
    return this.facets.get(name)
  }

  /** Say which pictures have all words of a text in their prompt or captions; "two words" is one. */
  async #find(text) {
    const known = this.found.get(text)
    if (known) return known
    await this.texts
    const words = [...text.matchAll(/"([^"]+)"|(\S+)/g)].map((match) => match[1] ?? match[2])
    const patterns = words.map((word) => new RegExp(word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'iu'))
    const has = new Uint8Array(this.numRows)
    for (let row = 0; row < this.numRows; row++) {
      has[row] = Number(patterns.every((pattern) => pattern.test(this.prompts[row]) || pattern.test(this.captions[row])))
    }
    if (this.found.size > 50) this.found.clear()
    this.found.set(text, has)
    return has
  }

  async #order({ sort, like, ranking }) {
    if (ranking) {
      const similarities = new Float32Array(this.numRows).fill(NaN)
      ranking.rows.forEach((row, at) => { similarities[row] = ranking.similarities[at] })
      return { rows: ranking.rows, similarities }
    }
    if (like && this.embeddings) {
      const row = this.rowOf.get(like)
      if (row === undefined) throw new Error(`no picture has the id ${like}`)
      await this.embeddings.load((...told) => this.#tell(...told))
      const similarities = this.embeddings.compare(row)
      return { rows: sortRows(similarities, -1), similarities }
    }
    if (sort === 'worst' || sort === 'best') {
      await this.scores
      if (this.adherence) return { rows: sortRows(this.adherence, sort === 'worst' ? 1 : -1), similarities: this.adherence }
    }
    return {}
  }

  #histogram(failures, failed, own) {
    let least = Infinity
    let most = -Infinity
    for (const score of this.adherence) {
      if (score < least) least = score
      if (score > most) most = score
    }
    if (!(most >= least)) return null
    const width = (most - least) / NUM_BINS || 1
    const edges = Array.from({ length: NUM_BINS + 1 }, (_, bin) => (bin < NUM_BINS ? least + bin * width : Infinity))
    const counts = new Array(NUM_BINS).fill(0)
    this.adherence.forEach((score, row) => {
      const isIn = failures[row] === 0 || (failures[row] === 1 && failed[row] === own)
      if (!isIn || Number.isNaN(score)) return
      let bin = Math.min(NUM_BINS - 1, Math.floor((score - least) / width))
      if (score < edges[bin]) bin -= 1 // the division and the edge are rounded apart
      else if (score >= edges[bin + 1]) bin += 1
      counts[bin] += 1
    })
    return { edges, most, counts }
  }

  /** Return what a tile says of some rows: id, and the beginning of the prompt if it is read. */
  tiles(rows) {
    return rows.map((row) => ({ row, id: this.ids[row], prompt: this.prompts[row]?.slice(0, 300) ?? null }))
  }
}

function addTo(facets, kind, group, attribute, value, row) {
  const name = `${kind}:${attribute}`
  let facet = facets.get(name)
  if (!facet) facets.set(name, facet = new Facet(name, attribute.replaceAll('_', ' '), group))
  facet.add(row, value)
}

/** Say what the page lists of a facet: the values that pictures have, chosen ones always. */
function describe(facet, counts, { facets, wanted = {} }) {
  const { name, title, group } = facet
  const part = wanted[name]?.trim().toLowerCase() ?? ''
  const chosen = new Set(facets[name] ?? [])
  const isChosen = ({ value }) => chosen.has(nameValue(value))
  const byCount = (one, other) => other.count - one.count || (String(one.value) < String(other.value) ? -1 : 1)
  const values = facet.values.map((value, code) => ({ value, count: counts[code] }))
    .filter((each) => isChosen(each) || (each.count && String(each.value ?? '').toLowerCase().includes(part)))
  const most = values.sort(byCount).slice(0, MOST_VALUES)
  if (values.length > most.length) most.push(...values.slice(MOST_VALUES).filter(isChosen))
  return { name, title, group, numValues: facet.values.length, numFound: values.length, values: most }
}

/** Return all rows by score; rows without one come last, and of equal ones the first row comes first. */
function sortRows(scores, sign) {
  const rows = Uint32Array.from(scores.keys())
  return rows.sort((one, other) => {
    const difference = sign * (scores[one] - scores[other])
    if (difference === difference) return difference || one - other
    return Number(Number.isNaN(scores[one])) - Number(Number.isNaN(scores[other])) || one - other
  })
}
