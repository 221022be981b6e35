// "More like this": embeddings of the release, compared in the browser.

import { traffic } from './ranges.js'

const HALVES = new Float32Array(65536)
for (let bits = 0; bits < 65536; bits++) {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  HALVES[bits] = exponent === 0 ? sign * 2 ** -24 * fraction
    : exponent === 31 ? (fraction ? NaN : sign * Infinity)
      : sign * 2 ** (exponent - 15) * (1 + fraction / 1024)
}
const word = new Float32Array(1)
const wordBits = new Uint32Array(word.buffer)

/** Return the bits of a number as float16, which the numbers in a release already fit. */
function toHalf(value) {
  word[0] = value
  const bits = wordBits[0]
  const sign = (bits >>> 16) & 0x8000
  const exponent = ((bits >>> 23) & 255) - 112
  if (exponent >= 31) return sign | 0x7bff
  if (exponent <= 0) return sign | Math.round(Math.abs(value) * 2 ** 24)
  return sign | ((exponent << 10) + ((bits & 0x7fffff) + 0x1000 >>> 13))
}

export class Embeddings {
  constructor(table, numRows) { Object.assign(this, { table, numRows }) }

  /** Read all vectors once: two bytes for each number. */
  load(tell) {
    this.loading ??= this.#load(tell)
    this.loading.catch(() => { this.loading = undefined })
    return this.loading
  }

  // A worker of its own reads them: what decoding leaves behind, several times the vectors, goes with it.
  #load(tell) {
    const worker = new Worker(self.location.href, { type: 'module' })
    const reading = new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => {
        if (data.event === 'progress') tell(data.stage, data.done, data.total)
        else if (data.error !== undefined) reject(new Error(data.error))
        else if (data.number !== undefined) resolve(this.#take(data.value))
      }
      worker.onerror = () => reject(new Error('the vectors cannot be read'))
    })
    worker.postMessage({ number: 0, name: 'vectors', values: [this.table.places, this.numRows] })
    return reading.finally(() => worker.terminate())
  }

  #take({ halves, dim, traffic: own }) {
    Object.assign(this, { halves, dim })
    traffic.numBytes += own.numBytes
    traffic.numRequests += own.numRequests
  }

  /** Return the cosine similarity of every picture with one of them. */
  compare(row) {
    const { halves, dim, numRows } = this
    const query = Float32Array.from(halves.subarray(row * dim, (row + 1) * dim), (bits) => HALVES[bits])
    const found = new Float32Array(numRows)
    for (let other = 0, at = 0; other < numRows; other++) {
      let sum = 0
      for (let i = 0; i < dim; i++) sum += query[i] * HALVES[halves[at++]]
      found[other] = sum
    }
    return found
  }
}

/** Read the vectors of a table as float16, which they fit. */
export async function readVectors(table, numRows, tell) {
  let halves
  let dim
  for await (const { start, numRows: own, values } of table.groups(['embedding'])) {
    dim ??= values.embedding[0].length
    halves ??= new Uint16Array(numRows * dim)
    let at = start * dim
    for (const vector of values.embedding) for (let i = 0; i < dim; i++) halves[at++] = toHalf(vector[i])
    tell('reading vectors', start + own, numRows)
  }
  return { halves, dim }
}
