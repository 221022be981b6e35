// Reads the vectors of a release as float16: page by page, without the arrays of arrays that a reader of any
// Parquet makes. Those take three times the memory of the vectors themselves.

import { decompress } from 'fzstd'
import { decompressPage } from 'hyparquet/src/datapage.js'
import { getMaxDefinitionLevel, getMaxRepetitionLevel, getSchemaPath } from 'hyparquet/src/schema.js'
import { parquetHeader } from 'hyparquet/src/column.js'
import { readInto } from './ranges.js'

const COLUMN = 'embedding'
const PART_BYTES = 2e6 // of a file that are read at once
const HEADER_BYTES = 4096 // at most, of a page of numbers
const MOST_PAGE_BYTES = 64e6
export const NO_NUMBER = 0x7e00 // NaN in float16

const word = new Float32Array(1)
const wordBits = new Uint32Array(word.buffer)

/** Return the float16 that is closest to a float32, both as bits; infinite numbers become the largest. */
export function toHalf(bits) {
  const sign = (bits >>> 16) & 0x8000
  const exponent = ((bits >>> 23) & 255) - 112
  if ((bits & 0x7fffffff) > 0x7f800000) return NO_NUMBER
  if (exponent >= 31) return sign | 0x7bff
  if (exponent < -10) return sign
  const shift = exponent > 0 ? 13 : 14 - exponent
  const value = exponent > 0 ? (exponent << 23) | (bits & 0x7fffff) : 0x800000 | (bits & 0x7fffff)
  // A number in the middle goes to the even one, as in NumPy.
  return sign | Math.min((value + (1 << (shift - 1)) - 1 + ((value >>> shift) & 1)) >>> shift, 0x7bff)
}

/**
 * Read the vectors of all rows. What is read and decoded on the way takes the same memory over and over:
 * the browser would only let go of it when much more is used.
 * @param {import('./tables.js').Table} table
 * @param {number} numRows
 * @param {(stage: string, done: number, total: number) => void} tell
 * @returns {Promise<{halves: Uint16Array, dim: number}>} where a row has no vector, its numbers are NaN
 */
export async function readVectors(table, numRows, tell) {
  const groups = []
  for await (const place of table.rowGroups()) groups.push(new Group(place))
  const windows = [new Window(), new Window()] // of the group that is decoded and of the next one
  let vectors = null
  groups[0]?.begin(windows[0])
  for (const [at, group] of groups.entries()) {
    groups[at + 1]?.begin(windows[(at + 1) % 2])
    const { dim: own } = group
    const known = vectors ?? (own ? { dim: own, halves: new Uint16Array(numRows * own).fill(NO_NUMBER, 0, group.start * own) } : null)
    if (known?.dim === own && await group.readPlain(known.halves)) vectors = known
    else vectors = await group.readAny(table, vectors, numRows)
    tell('reading vectors', group.end, numRows)
  }
  if (!vectors) throw new Error('no picture has a vector')
  return vectors
}

/** A part of a file, from which pages are taken one after the other. */
class Window {
  constructor() { this.buffer = new ArrayBuffer(0) }

  /** Begin at a place of a file, which ends at another. */
  begin(url, from, to) {
    const before = this.reading?.catch(() => {}) // may go on, where a group was left to a reader of any Parquet
    this.reading = Promise.resolve(before).then(() => {
      Object.assign(this, { url, next: from, to, start: 0, end: 0 })
      return this.#read(1)
    })
    this.reading.catch(() => {})
  }

  get data() { return new Uint8Array(this.buffer, this.start, this.end - this.start) }

  /** Have some bytes there, and return whether there are as many. */
  async has(numBytes) {
    await this.reading
    if (this.end - this.start < numBytes && this.next < this.to) await this.#read(numBytes)
    return this.end - this.start >= numBytes
  }

  async #read(numBytes) {
    const left = this.end - this.start
    const upto = Math.min(this.to, this.next + Math.max(PART_BYTES, numBytes - left))
    const size = left + upto - this.next
    if (size > this.buffer.byteLength) {
      const larger = new ArrayBuffer(Math.max(size, 2 * PART_BYTES))
      new Uint8Array(larger).set(this.data)
      this.buffer = larger
    } else {
      new Uint8Array(this.buffer).copyWithin(0, this.start, this.end)
    }
    this.buffer = await readInto(this.url, this.next, upto, this.buffer, left)
    Object.assign(this, { start: 0, end: size, next: upto })
  }
}

/** The vectors of one row group. */
class Group {
  constructor(place) {
    this.place = place
    this.file = place.file
    this.start = place.file.start + place.first
    this.end = place.file.start + place.end
    this.chunk = place.group.columns.find(({ meta_data: each }) => each.path_in_schema[0] === COLUMN)?.meta_data
    if (!this.chunk) throw new Error(`${this.file.name} has no column ${COLUMN}`)
    const dim = Number(this.chunk.num_values) / (this.end - this.start)
    this.dim = Number.isInteger(dim) ? dim : 0 // 0: not every row has a vector of the same length
  }

  /** Begin to read. */
  begin(window) {
    const from = Number(this.chunk.dictionary_page_offset || this.chunk.data_page_offset)
    this.window = window
    window.begin(this.file.url, from, from + Number(this.chunk.total_compressed_size))
  }

  /** Put the numbers at their place; return whether that was done: pages are as the kit writes them, without nulls. */
  readPlain(halves) { return this.file.naming(this.#readPlain(halves)) }

  async #readPlain(halves) {
    const width = this.#width()
    if (!width) return false
    let at = this.start * this.dim
    const end = this.end * this.dim
    for await (const { header, data } of this.#pages()) {
      const page = plainValues(header, data, this.chunk.codec, { width, dim: this.dim, first: at - this.start * this.dim })
      if (page === null || at + page.byteLength / width > end) return false
      if (width === 2) for (let place = 0; place < page.byteLength; place += 2) halves[at++] = page.getUint16(place, true)
      else for (let place = 0; place < page.byteLength; place += 4) halves[at++] = toHalf(page.getUint32(place, true))
    }
    return at === end
  }

  /** Return how many bytes a number has; 0 if the column holds no lists of float32 or float16. */
  #width() {
    const path = getSchemaPath(this.place.schema, this.chunk.path_in_schema)
    const { type, logical_type: logical } = path.at(-1).element
    if (getMaxRepetitionLevel(path) !== 1 || getMaxDefinitionLevel(path) === 0) return 0
    if (type === 'FLOAT') return 4
    return type === 'FIXED_LEN_BYTE_ARRAY' && logical?.type === 'FLOAT16' ? 2 : 0
  }

  async *#pages() {
    const { window } = this
    while (await window.has(1)) {
      await window.has(HEADER_BYTES)
      const { data } = window
      const reader = { view: new DataView(data.buffer, data.byteOffset, data.byteLength), offset: 0 }
      const header = parquetHeader(reader)
      const size = header.compressed_page_size
      if (!(size >= 0) || !await window.has(reader.offset + size)) throw new Error('a page goes beyond its column')
      yield { header, data: window.data.subarray(reader.offset, reader.offset + size) }
      window.start += reader.offset + size
    }
  }

  /** Put the numbers at their place as any Parquet has them, and return all vectors; null where there are none yet. */
  readAny(table, vectors, numRows) { return this.file.naming(this.#readAny(table, vectors, numRows)) }

  async #readAny(table, vectors, numRows) {
    const { values: { [COLUMN]: own } } = await table.readGroup(this.place, [COLUMN])
    const dim = vectors?.dim ?? own.find((vector) => vector?.length)?.length
    if (!dim) return null
    const halves = vectors?.halves ?? new Uint16Array(numRows * dim).fill(NO_NUMBER, 0, this.start * dim)
    let at = this.start * dim
    for (const vector of own) {
      if (vector?.length && vector.length !== dim) throw new Error(`there are vectors of ${vector.length} and of ${dim} numbers`)
      for (let i = 0; i < dim; i++) {
        word[0] = vector?.[i] ?? NaN
        halves[at++] = toHalf(wordBits[0])
      }
    }
    return { halves, dim }
  }
}

let page = new Uint8Array(0) // the last one that was decompressed
const compressors = {
  ZSTD(data, numBytes) {
    if (page.length < numBytes) page = new Uint8Array(numBytes)
    const own = page.subarray(0, numBytes)
    own.valueOf = () => 0 // fzstd compares it with 1, for which it would become a text of all its bytes
    return decompress(data, own)
  },
}

/**
 * Return whether repetition levels begin a row every `dim` values: rows of other lengths can have as many values in all.
 * @param {Uint8Array} levels runs of 0, which begins a row, and of 1, as Parquet's RLE has them
 * @param {number} numValues of the page
 * @param {number} dim
 * @param {number} first how many values of the group come before them
 */
function beginRowsEvery(levels, numValues, dim, first) {
  let at = 0
  let column = first % dim
  const take = (level) => {
    if ((level === 0) !== (column === 0)) return false
    column = column + 1 === dim ? 0 : column + 1
    return true
  }
  for (let left = numValues; left > 0;) {
    let header = 0
    for (let shift = 0; ; shift += 7) {
      if (at >= levels.length || shift > 28) return false
      header += (levels[at] & 127) * 2 ** shift
      if (levels[at++] < 128) break
    }
    const isPacked = header % 2 === 1
    const size = Math.floor(header / 2) // bytes of eight levels each, or how often the next one is repeated
    if (size === 0 || at + (isPacked ? size : 1) > levels.length) return false
    const run = Math.min(left, isPacked ? 8 * size : size)
    for (let place = 0; place < run; place++) {
      if (!take(isPacked ? (levels[at + (place >> 3)] >> (place & 7)) & 1 : levels[at])) return false
    }
    at += isPacked ? size : 1
    left -= run
  }
  return true
}

/** Return a page's values; null unless they are plain, none is null, and a row begins every `dim` values. */
function plainValues(header, data, codec, { width, dim, first }) {
  const size = header.uncompressed_page_size
  const v2 = header.type === 'DATA_PAGE_V2' ? header.data_page_header_v2 : null
  const own = header.type === 'DATA_PAGE' ? header.data_page_header : v2
  if (!own || own.encoding !== 'PLAIN' || size > MOST_PAGE_BYTES) return null
  let values
  let repetition
  let start = 0
  if (v2) { // levels come first, and are not compressed
    const levels = v2.repetition_levels_byte_length + v2.definition_levels_byte_length
    repetition = data.subarray(0, v2.repetition_levels_byte_length)
    values = data.subarray(levels)
    if (v2.is_compressed && size > levels) values = decompressPage(values, size - levels, codec, compressors)
  } else {
    if (own.repetition_level_encoding !== 'RLE' || own.definition_level_encoding !== 'RLE') return null
    values = decompressPage(data, size, codec, compressors)
    for (let block = 0; block < 2; block++) { // of repetition and of definition levels
      if (start + 4 > values.length) return null
      const end = start + 4 + new DataView(values.buffer, values.byteOffset + start, 4).getUint32(0, true)
      repetition ??= values.subarray(start + 4, end)
      start = end
    }
  }
  // A null has levels, and no value.
  if (values.length - start !== own.num_values * width || !beginRowsEvery(repetition, own.num_values, dim, first)) return null
  return new DataView(values.buffer, values.byteOffset + start, values.length - start)
}
