// "More like this": embeddings of the release, compared in the browser.

import { once } from './ranges.js'
import { readVectors } from './vectors.js'

const HALVES = new Float32Array(65536)
for (let bits = 0; bits < 65536; bits++) {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  HALVES[bits] = exponent === 0 ? sign * 2 ** -24 * fraction
    : exponent === 31 ? (fraction ? NaN : sign * Infinity)
      : sign * 2 ** (exponent - 15) * (1 + fraction / 1024)
}

export class Embeddings {
  constructor(table, numRows) { Object.assign(this, { table, numRows }) }

  /** Read all vectors once: two bytes for each number. */
  load(tell) { return once(this, 'loading', () => this.#load(tell)) }

  async #load(tell) {
    Object.assign(this, await readVectors(this.table, this.numRows, tell))
  }

  /** Return the cosine similarity of every picture with one of them; NaN for pictures without a vector. */
  compare(row) {
    const { halves, dim, numRows } = this
    const query = Float32Array.from(halves.subarray(row * dim, (row + 1) * dim), (bits) => HALVES[bits])
    if (Number.isNaN(query[0])) throw new Error('this picture has no vector')
    const found = new Float32Array(numRows)
    for (let other = 0, at = 0; other < numRows; other++) {
      let sum = 0
      for (let i = 0; i < dim; i++) sum += query[i] * HALVES[halves[at++]]
      found[other] = sum
    }
    return found
  }
}
