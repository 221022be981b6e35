// "More like this": embeddings of the release, compared in the browser.

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

  async #load(tell) {
    for await (const { start, numRows, values } of this.table.groups(['embedding'])) {
      this.dim ??= values.embedding[0].length
      this.halves ??= new Uint16Array(this.numRows * this.dim)
      let at = start * this.dim
      for (const vector of values.embedding) for (let i = 0; i < this.dim; i++) this.halves[at++] = toHalf(vector[i])
      tell('reading vectors', start + numRows, this.numRows)
    }
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
