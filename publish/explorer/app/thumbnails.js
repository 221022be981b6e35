// Small pictures of rows: from the packs that `sfhq explore` makes, else from the release's own images.

import { once, readRange, readText } from './ranges.js'

const MOST_KEPT = 3000 // of at most 3 kB each
const MOST_KEPT_BYTES = 48e6 // whole images, where there are no packs
const GAP_ROWS = 24 // rows that are read along rather than asking twice

export class Thumbnails {
  /**
   * @param {string | null} base address of the packs
   * @param {import('./tables.js').Table} images the config `default`
   */
  constructor(base, images) {
    Object.assign(this, { base, images })
    this.kept = new Map()
    this.keptBytes = 0
    this.reading = new Map()
  }

  /** Learn which packs there are. */
  async open() {
    const text = this.base ? await readText(`${this.base}index.json`).catch(() => null) : null
    this.packs = text ? JSON.parse(text).packs : []
    let start = 0
    for (const pack of this.packs) {
      pack.start = start
      start += pack.num_rows
    }
  }

  /** Call `show(row, bytes)` for each row as soon as its picture is there. */
  async get(rows, show) {
    const missing = []
    for (const row of rows) {
      const data = this.kept.get(row)
      if (data) show(row, data)
      else missing.push(row)
    }
    const wanted = missing.sort((one, other) => one - other)
    const jobs = []
    let run = []
    for (const row of wanted) {
      const last = run.at(-1)
      const pack = this.#packOf(row)
      if (run.length && (pack === undefined || pack !== this.#packOf(last) || row - last > GAP_ROWS)) {
        jobs.push(run)
        run = []
      }
      run.push(row)
    }
    if (run.length) jobs.push(run)
    const results = await Promise.allSettled(jobs.map((job) => this.#read(job, show)))
    const failure = results.find((result) => result.status === 'rejected')
    if (failure) throw failure.reason
  }

  #packOf(row) {
    return this.packs.find((pack) => row < pack.start + pack.num_rows)
  }

  async #read(rows, show) {
    const pack = this.#packOf(rows[0])
    if (pack === undefined) {
      for (const row of rows) {
        const data = await this.#readImage(row)
        this.#keep(row, data)
        show(row, data)
      }
      return
    }
    const url = this.base + pack.file
    const size = 4 * (pack.num_rows + 1)
    const offsets = await once(pack, 'offsets', async () => new Uint32Array(await readRange(url, 0, size)))
    const first = rows[0] - pack.start
    const last = rows.at(-1) - pack.start
    const from = offsets[first]
    const block = await readRange(url, from, offsets[last + 1])
    for (const row of rows) {
      const at = row - pack.start
      const data = block.slice(offsets[at] - from, offsets[at + 1] - from)
      this.#keep(row, data)
      show(row, data)
    }
  }

  #readImage(row) {
    let reading = this.reading.get(row)
    if (!reading) {
      reading = this.image(row).finally(() => this.reading.delete(row))
      this.reading.set(row, reading)
    }
    return reading
  }

  /** Return an image's own bytes. */
  async image(row) {
    const { bytes } = await this.images.cell('image', row, true)
    return bytes.slice().buffer
  }

  #keep(row, data) {
    if (this.kept.has(row)) return
    this.kept.set(row, data)
    this.keptBytes += data.byteLength
    for (const [oldest, old] of this.kept) {
      if (this.kept.size <= MOST_KEPT && this.keptBytes <= MOST_KEPT_BYTES) break
      this.kept.delete(oldest)
      this.keptBytes -= old.byteLength
    }
  }
}
